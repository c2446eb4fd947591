"""What may move an action: what a person said, or what two witnesses say that an adversary cannot author.

Ranking is no defence: one poisoned item in hundreds, with a trigger in plain words, is among the first five of nearly
every hybrid recall. So the gate looks at provenance alone, never at text. Pure functions over items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from aurora.kernel.evidence import Provenance
from memory.guard.trust import MEMORY, plain_uri
from memory.items import Item, Source, State, Trust

Triple = tuple[str, str, str]

_DERIVED = frozenset({Provenance.AGENT_DERIVED})
_QUOTED = (MEMORY, "message:")
"""Begin the URIs of what is told again in other words: who asked a question does not vouch for the answer."""


def refusal(item: Item, others: Iterable[Item] = (), *, floor: Trust = Trust.OPERATOR) -> str | None:
    """Return why an item may not move an action; `None`: it may.

    Args:
        item: What was recalled.
        others: Items of the same memory that may say the same, what was superseded included.
        floor: Trusted so far, it needs no second witness.
    """
    if item.state is not State.ACTIVE:
        return f"it is {item.state.value}, and moves no action"
    if item.trust >= floor:
        return None
    shown = item.trust.name.lower()
    if item.trust is Trust.EXTERNAL_CONTENT:
        return f"trusted as {shown}: whoever caused an event may have written it"
    witnesses = [*_witnesses(item)]
    for other in same(item, others):
        witnesses += _witnesses(other)
    if is_corroborated(witnesses):
        return None
    classes = sorted({source.provenance.value for source in witnesses})
    said = f"only {' and '.join(classes)} vouches for it" if classes else "nobody but Aurora itself says so"
    return f"trusted as {shown}, below {floor.name.lower()}, and {said}"


def is_corroborated(sources: Sequence[Source]) -> bool:
    """Tell whether two different sources of two different classes are among them, both beyond an adversary's pen."""
    trusted = [source for source in sources if is_witness(source)]
    return any(
        first.provenance is not second.provenance and _record(first.uri) != _record(second.uri)
        for place, first in enumerate(trusted)
        for second in trusted[place + 1 :]
    )


def is_witness(source: Source) -> bool:
    """Tell whether a source counts: an adversary cannot author it, and it quotes no memory and no thread."""
    return source.provenance.is_trusted and not _is_quoted(source)


def triple(item: Item) -> Triple | None:
    """Return what a fact says; `None`: it is none."""
    if item.subject is None or item.predicate is None or item.object is None:
        return None
    return item.subject, item.predicate, item.object


def same(item: Item, others: Iterable[Item]) -> list[Item]:
    """Return those of the others that say the same as an item: the same fact, or the same text of the same kind.

    One that was superseded still says it if what took its place, at once or by steps, says it too: then only the
    wording changed. One that another statement had replaced in between does not.
    """
    known: Mapping[UUID, Item] = {other.id: other for other in others if other.tenant == item.tenant}
    found: list[Item] = []
    for other in known.values():
        if other.id == item.id or other.state is not State.ACTIVE or other.trust is Trust.EXTERNAL_CONTENT:
            continue
        if _says(other) == _says(item) and _still(other, item, known):
            found.append(other)
    return found


def _says(item: Item) -> object:
    said = triple(item)
    return (
        said
        if said is not None
        else (item.kind, item.subject, item.predicate, str.__str__(item.text), dict(item.value))
    )


def _still(other: Item, item: Item, known: Mapping[UUID, Item]) -> bool:
    seen: set[UUID] = set()
    while other.retired_at is not None:
        after = other.superseded_by
        if after is None or after in seen:
            return False
        if after == item.id:
            return True
        if after not in known or _says(known[after]) != _says(item):
            return False
        seen.add(after)
        other = known[after]
    return True


def _witnesses(item: Item) -> list[Source]:
    """Return the sources that vouch for an item. What was concluded is not said by what it was concluded from."""
    if any(source.provenance is Provenance.ATTACKER_WRITABLE or _is_derived(source) for source in item.sources):
        return []
    return [source for source in item.sources if is_witness(source)]


def _is_derived(source: Source) -> bool:
    return source.provenance in _DERIVED or _is_quoted(source)


def _is_quoted(source: Source) -> bool:
    return plain_uri(source.uri).removeprefix("urn:").startswith(_QUOTED)


def _record(uri: str) -> str:
    """Return what a URI names without the part of it: two passages of one record are one witness."""
    return plain_uri(uri.partition("#")[0].partition("?")[0])
