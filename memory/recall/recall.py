"""Recall: text and vectors together, what is true and trusted before what is not, and nothing where nothing fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora.kernel.clock import Clock
from memory.recall.choosing import Choosing
from memory.recall.fusion import Mix
from memory.recall.gathering import Gathering
from memory.recall.question import Question, question
from memory.recall.request import MAX_QUERY, Recalled, Request
from memory.recall.sql import Head, Scope, Statements
from memory.recall.text import PostgresText, SqliteText
from memory.reembedding import Transition

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
        embedder: The memory's. While it still has to make vectors that another one has, that one's are searched.
        searches: Where vectors are searched.
        mix: How vectors are weighed against text; `None`: as suits the embedder that serves.
    """

    def __init__(
        self, *, tenant: str, clock: Clock, embedder: Embedder, searches: Searches, mix: Mix | None = None
    ) -> None:
        self._tenant = tenant
        self._clock = clock
        self._embedder = embedder
        self._transition = Transition(tenant=tenant, embedder=embedder)
        self._searches = searches
        self._mix = mix
        self._sqlite = SqliteText()
        self._postgres = PostgresText()

    async def recall(self, transactions: Transactions, request: Request) -> Recalled:
        """Return what answers the request, the best first. One transaction that only reads.

        It is begun again, with another vector of the question, where another embedder has begun to serve.

        Raises:
            AuroraError: the embedder or the database refused.
        """
        text = str.__str__(request.query)[:MAX_QUERY]
        asked = question(text)
        if asked.is_empty:
            return Recalled(items=(), abstained="nothing was asked: the question has no word")
        while True:
            embedder = self._transition.serving
            vector = (await embedder.embed([text]))[0]
            async with transactions.reading() as connection:
                statements = Statements(connection, tenant=self._tenant)
                head = await statements.head(embedder.name, own=self._embedder.name)
                serving = await self._transition.settle(connection, events=head.events, is_mixed=head.is_mixed)
                if serving.name == embedder.name:
                    return await self._answer(statements, request, asked, vector, head=head, embedder=embedder)

    async def _answer(
        self,
        statements: Statements,
        request: Request,
        asked: Question,
        vector: NDArray[np.float32],
        *,
        head: Head,
        embedder: Embedder,
    ) -> Recalled:
        """Return what answers, in the caller's transaction; the embedder is the one that made the vector."""
        now = self._clock.now()
        mix = self._mix or Mix.of(embedder.name)
        search = None
        if head.embedder is not None and vector.any():
            search = self._searches.of(self._tenant, embedder=head.embedder, dimensions=embedder.dimensions)
        gathering = Gathering(
            statements,
            text=self._postgres if statements.is_postgres else self._sqlite,
            vectors=search,
            alpha=mix.alpha,
            asked=asked,
            vector=vector,
        )
        found = await gathering.gather(Scope(self._tenant, request, now), head=head)
        choosing = Choosing(statements, request=request, asked=asked, mix=mix, now=request.as_of or now)
        return await choosing.choose(found)
