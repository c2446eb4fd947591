"""Recall: text and vectors together, what is true and trusted before what is not, and nothing where nothing fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora.kernel.clock import Clock
from memory.recall.choosing import Choosing
from memory.recall.fusion import Mix
from memory.recall.gathering import Gathering
from memory.recall.question import Question, question
from memory.recall.request import MAX_QUERY, Recalled, Request
from memory.recall.sql import Scope, Statements
from memory.recall.text import PostgresText, SqliteText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from memory.ports import Embedder, Transactions
    from memory.writing import Searches


class Recall:
    """Answers questions from one tenant's memory.

    Args:
        tenant: Whose memory it is; from whoever opened it, never from data.
        clock: What `now` is.
        embedder: Makes the vector of a question.
        searches: Where vectors are searched.
        mix: How vectors are weighed against text; `None`: as suits the embedder.
    """

    def __init__(
        self, *, tenant: str, clock: Clock, embedder: Embedder, searches: Searches, mix: Mix | None = None
    ) -> None:
        self._tenant = tenant
        self._clock = clock
        self._embedder = embedder
        self._searches = searches
        self._mix = mix or Mix.of(embedder.name)
        self._sqlite = SqliteText()
        self._postgres = PostgresText()

    async def recall(self, transactions: Transactions, request: Request) -> Recalled:
        """Return what answers the request, the best first. One transaction that only reads.

        Raises:
            AuroraError: the embedder or the database refused.
        """
        text = str.__str__(request.query)[:MAX_QUERY]
        asked = question(text)
        if asked.is_empty:
            return Recalled(items=(), abstained="nothing was asked: the question has no word")
        vector = (await self._embedder.embed([text]))[0]
        async with transactions.reading() as connection:
            return await self.answer(Statements(connection, tenant=self._tenant), request, asked, vector)

    async def answer(
        self, statements: Statements, request: Request, asked: Question, vector: NDArray[np.float32]
    ) -> Recalled:
        """Return what answers, in the caller's transaction."""
        now = self._clock.now()
        head = await statements.head(self._embedder.name)
        search = None
        if head.embedder is not None and vector.any():
            search = self._searches.of(self._tenant, embedder=head.embedder, dimensions=self._embedder.dimensions)
        gathering = Gathering(
            statements,
            text=self._postgres if statements.is_postgres else self._sqlite,
            vectors=search,
            alpha=self._mix.alpha,
            asked=asked,
            vector=vector,
        )
        found = await gathering.gather(Scope(self._tenant, request, now), head=head)
        choosing = Choosing(statements, request=request, asked=asked, mix=self._mix, now=request.as_of or now)
        return await choosing.choose(found)
