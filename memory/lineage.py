"""What was made of what: the items that name others as their sources, and those that rest on nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from memory.guard.trust import MEMORY
from memory.hand import Hand, read_id
from memory.items import State

ERASED = "[erased]"
"""What stands where the text of an erased item stood, and where a source says which part of an item it was."""

_CHILDREN = (
    "SELECT DISTINCT i.seq, i.id FROM memory_sources s JOIN memory_items i ON i.seq = s.seq AND i.tenant = s.tenant"
    " WHERE s.tenant = $1 AND s.uri {} AND i.state {}"
)
_SOURCES = (
    "SELECT i.id, s.uri, s.span FROM memory_sources s JOIN memory_items i ON i.seq = s.seq WHERE {} = $1 AND s.seq {}"
)
_ERASED = "SELECT id FROM memory_items WHERE {} = $1 AND id {} AND state = 'erased'"


@dataclass(frozen=True, slots=True)
class Resting:
    """What becomes of items when some are erased."""

    goes: Sequence[UUID]
    """Rest on nothing but what is erased, however many steps away; in the order in which they were written."""
    stays: Mapping[UUID, Sequence[UUID]]
    """Have other sources too; with those that are erased and do not say so yet."""


class Lineage:
    """Follows the sources of one tenant's items, in the caller's transaction.

    Args:
        hand: On its connection.
        tenant: Whose memory.
    """

    def __init__(self, hand: Hand, *, tenant: str) -> None:
        self._hand = hand
        self._tenant = tenant

    async def made_of(self, ids: Iterable[UUID], *, states: Collection[State]) -> dict[UUID, int]:
        """Return the items that name one of these as a source, those that name one of them, and so on, with their rows.

        Args:
            ids: Of items; they are not among what is returned.
            states: In which an item is followed.
        """
        query = _CHILDREN.format(self._hand.among("$2", "text"), self._hand.among("$3", "text"))
        wanted = self._hand.many([state.value for state in states])
        fresh = list(dict.fromkeys(ids))
        seen, found = set(fresh), dict[UUID, int]()
        while fresh:
            rows = await self._hand.fetch(query, self._tenant, self._hand.many([_uri(each) for each in fresh]), wanted)
            news = {child: seq for seq, item in rows if (child := read_id(item)) not in seen}
            fresh = sorted(news, key=news.__getitem__)
            seen.update(news)
            found |= news
        return found

    async def resting_on(self, ids: Collection[UUID]) -> Resting:
        """Return what becomes of the items that were made of these when these are erased.

        Two that name each other, and besides only what is erased, rest on nothing: both go.
        """
        gone = set(ids)
        below = await self.made_of(gone, states=[state for state in State if state is not State.ERASED])
        named, others = await self._named(below)
        gone |= await self._erased({to for made_of in named.values() for to in made_of} - gone - set(below))
        holds: defaultdict[UUID, list[UUID]] = defaultdict(list)
        for each, made_of in named.items():
            for to in made_of:
                holds[to].append(each)
        # What has a source of another kind, or an item that stays, stays; and so does what was made of that.
        firm = [
            each for each in below if each in others or any(to not in below and to not in gone for to in named[each])
        ]
        stays = set(firm)
        while firm:
            firm = [each for held in firm for each in holds[held] if each not in stays]
            stays.update(firm)
        goes = sorted(set(below) - stays, key=below.__getitem__)
        gone.update(goes)
        told = {each: [to for to, is_told in named[each].items() if to in gone and not is_told] for each in below}
        return Resting(goes, {each: lost for each, lost in told.items() if each in stays and lost})

    async def _named(self, below: Mapping[UUID, int]) -> tuple[Mapping[UUID, dict[UUID, bool]], set[UUID]]:
        """Return the items that are sources of each, with whether it says that they are erased; and who has others."""
        query = _SOURCES.format(self._hand.aside("s.tenant"), self._hand.among("$2", "bigint"))
        named: defaultdict[UUID, dict[UUID, bool]] = defaultdict(dict)
        others: set[UUID] = set()
        for item, uri, span in await self._hand.fetch(query, self._tenant, self._hand.many([*below.values()])):
            to = _item(uri)
            if to is None:
                others.add(read_id(item))
            else:
                named[read_id(item)][to] = span == ERASED
        return named, others

    async def _erased(self, ids: Collection[UUID]) -> set[UUID]:
        if not ids:
            return set()
        query = _ERASED.format(self._hand.aside("tenant"), self._hand.among("$2", "uuid"))
        rows = await self._hand.fetch(query, self._tenant, self._hand.many([self._hand.id(each) for each in ids]))
        return {read_id(row[0]) for row in rows}


def _uri(item: UUID) -> str:
    return f"{MEMORY}{item}"


def _item(uri: str) -> UUID | None:
    """Return the item that a source is; `None`: it is none, or no memory spells one so."""
    try:
        item = UUID(uri.removeprefix(MEMORY))
    except ValueError:
        return None
    return item if uri == _uri(item) else None
