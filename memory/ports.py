"""What a memory needs of its surroundings, and what an agent's memory asks of its tiers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aurora.kernel.evidence import Finding
from aurora.kernel.models import Observable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncConnection

    Vectors = NDArray[np.float32]
    """Shape (texts, dimensions), each row of length 1; a row of zeros says nothing."""


class Transactions(Protocol):
    """Hands out database transactions; each commits when its `async with` ends without an error."""

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that only reads.

        Raises:
            AuroraError: the database cannot be reached.
        """

    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that may write; on SQLite it takes the write lock at its start.

        Raises:
            AuroraError: the database is locked or cannot be reached; nothing was written.
        """


Fence = Callable[["AsyncConnection"], Awaitable[None]]
"""Called in the transaction of a write, before it; raises where the writer may write no more."""


class Embedder(Protocol):
    """Turns texts into vectors. Offline, deterministic."""

    @property
    def name(self) -> str:
        """With revision: other weights are another name."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text. Does not block the event loop for longer than 10 ms."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its secrets."""

    text: str
    kinds: tuple[str, ...] = ()
    """What was taken out: `aws_key`, `private_key`, `password`, … Each once, sorted."""


class Redactor(Protocol):
    """Takes secrets out of a text before it is kept."""

    def __call__(self, text: str, /) -> Redacted:
        """Return the text with each secret replaced by `[redacted:<kind>]`."""


class Summariser(Protocol):
    """Writes a shorter text, with a model. Where there is none the memory makes extracts."""

    async def __call__(self, texts: Sequence[str], /, *, tokens: int) -> str:
        """Return a summary of at most so many tokens.

        Raises:
            AuroraError: there is none; the memory makes an extract.
        """


class EpisodicTier(Protocol):
    """Past cases of the tenant that it was opened for."""

    async def recall(self, query: str, *, limit: int) -> Sequence[Finding]:
        """Return at most `limit` past cases that resemble `query`, the best first.

        Raises:
            AuroraError: the store cannot answer; the memory goes on without it.
        """


class ThreatIntelTier(Protocol):
    """What is known about indicators."""

    async def lookup(self, observables: Sequence[Observable], *, limit: int) -> Sequence[Finding]:
        """Return at most `limit` findings about exactly these values.

        Raises:
            AuroraError: the store cannot answer; the memory goes on without it.
        """
