"""How far an item may be trusted: no further than the least trusted thing that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from aurora.kernel.evidence import Provenance
from memory.items import Source, Trust

MEMORY = "memory:"
"""Begins the URI of a source that is itself an item of the memory."""

OF_PROVENANCE: Mapping[Provenance, Trust] = MappingProxyType(
    {
        Provenance.HUMAN: Trust.OPERATOR,
        Provenance.AGENT_DERIVED: Trust.AGENT_DERIVED,
        Provenance.SENSOR: Trust.TOOL_OUTPUT,
        Provenance.IDENTITY_SERVER: Trust.TOOL_OUTPUT,
        Provenance.SANDBOX: Trust.TOOL_OUTPUT,
        Provenance.ATTACKER_WRITABLE: Trust.EXTERNAL_CONTENT,
    }
)


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that an item may be trusted."""

    trust: Trust
    reason: str | None = None
    """Which source set it; `None` where it takes nothing from what was asked."""


def memory_ids(sources: Iterable[Source]) -> list[UUID]:
    """Return the ids of the items that are named as sources. A name that is no id is left out."""
    return [named for source in sources if (named := _memory_id(source.uri)) is not None]


def bound(sources: Sequence[Source], *, asked: Trust | None, trusts: Mapping[UUID, Trust]) -> Bound:
    """Return the trust of an item made from `sources`: at most `asked`, and never more than the least of them.

    Args:
        sources: At least one.
        asked: What the writer wants; `None`: as much as the sources allow.
        trusts: Of the items that are sources. One that is not here is trusted least: nothing is known about it.
    """
    limit, weakest = min(((_of(source, trusts), source) for source in sources), key=lambda each: each[0])
    if asked is None:
        return Bound(limit)
    if asked <= limit:
        return Bound(asked)
    named = f"{weakest.provenance.value} source" if not _is_memory(weakest.uri) else "an item it was made from"
    return Bound(limit, f"trusted as {limit.name.lower()}, not {asked.name.lower()}: no further than {named}")


def _of(source: Source, trusts: Mapping[UUID, Trust]) -> Trust:
    own = OF_PROVENANCE[source.provenance]
    if not _is_memory(source.uri):
        return own
    named = _memory_id(source.uri)
    return min(own, Trust.EXTERNAL_CONTENT if named is None else trusts.get(named, Trust.EXTERNAL_CONTENT))


def _is_memory(uri: str) -> bool:
    """Tell whether a URI names an item, however it is spelled: no spelling raises trust."""
    return uri.strip().casefold().startswith(MEMORY)


def _memory_id(uri: str) -> UUID | None:
    if not _is_memory(uri):
        return None
    try:
        return UUID(uri.strip()[len(MEMORY) :].strip())
    except ValueError:
        return None
