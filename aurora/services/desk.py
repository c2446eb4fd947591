"""What the memory package offers a person, as the runtime sees it: it hands the desk in and imports no memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


class Desk(Protocol):
    """What a person does with a memory. The memory package has it; its objects are told apart by their fields."""

    async def search(
        self,
        query: str,
        *,
        tiers: Sequence[str] = (),
        kinds: Sequence[str] = (),
        subject: str | None = None,
        at: datetime | None = None,
        as_of: datetime | None = None,
        for_action: bool = False,
        archived: bool = False,
        limit: int = 8,
    ) -> Any:
        """Return what answers a question."""

    async def items(self, ids: Iterable[UUID]) -> Mapping[UUID, Any]:
        """Return the items of these ids that there are."""

    async def find(self, texts: Iterable[str]) -> list[Any]:
        """Return the items that ids, or ends of ids, name."""

    async def show(self, text: str) -> Any:
        """Return everything that is held of an item."""

    async def list(
        self,
        *,
        tier: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        source: str | None = None,
        limit: int = 50,
    ) -> Sequence[Any]:
        """Return items in whose place nothing else stands."""

    async def state_fact(
        self,
        subject: str,
        predicate: str,
        object: str,
        *,
        reason: str,
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
    ) -> Any:
        """State a fact in the person's name."""

    async def note(self, title: str, text: str) -> Any:
        """Keep how something is done here."""

    async def approve(self, id: UUID) -> Any:
        """Let an item out of quarantine."""

    async def forgettable(
        self, ids: Sequence[UUID] = (), *, source: str | None = None, before: datetime | None = None, limit: int = 20
    ) -> tuple[int, Sequence[Any]]:
        """Return how many items `forget` would erase, and the latest of them."""

    async def forget(
        self, ids: Sequence[UUID] = (), *, source: str | None = None, before: datetime | None = None, reason: str
    ) -> int:
        """Erase items and return how many."""

    async def rollback(
        self, *, source: str | None = None, after: datetime | None = None, reason: str, dry_run: bool = False
    ) -> Sequence[Any]:
        """Take back what came from a source or was recorded after a moment."""

    async def stats(self) -> Any:
        """Return the memory in numbers."""

    async def without_vector(self) -> int:
        """Return how many active items have no vector."""

    async def verify(self) -> Any:
        """Tell whether the chain of events is as it was written."""

    async def reembed(self, *, drop: bool = False, report: Callable[[Any], None] | None = None) -> tuple[Any, int]:
        """Make the vectors that items lack; return how far it got, and how many old ones went."""

    def export(self) -> AsyncIterator[Mapping[str, Any]]:
        """Yield all of the memory as JSON."""
