"""How far an item may be trusted: no further than the least trusted thing that it was made from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import unquote
from uuid import UUID

from aurora.kernel.evidence import Provenance
from memory.guard.instructions import LOOK_ALIKES
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


def plain_uri(uri: str) -> str:
    """Return a URI in the one spelling in which names are compared.

    In small letters, percent-encoding undone, wide letters and look-alikes as Latin ones, without blanks, signs that
    are not seen and what else stands before its first letter.
    """
    if _PLAIN.fullmatch(uri) is not None:
        return uri
    plain = _ESCAPE.sub("", uri)
    for _ in range(_ENCODINGS):
        plain = unquote(plain)
    plain = unicodedata.normalize("NFKC", plain).casefold().translate(LOOK_ALIKES)
    return _UNSEEN.sub("", plain).lstrip(_BEFORE)


def _is_memory(uri: str) -> bool:
    """Tell whether a URI names an item, however it is spelled: no spelling raises trust."""
    if _OTHER.match(uri) is not None:
        return False
    plain = plain_uri(uri).removeprefix("urn:")
    return plain.startswith(MEMORY) or _ID.fullmatch(plain.removeprefix("uuid:")) is not None


def _memory_id(uri: str) -> UUID | None:
    if not _is_memory(uri):
        return None
    name = plain_uri(uri).removeprefix("urn:").removeprefix(MEMORY).lstrip("/").removeprefix("urn:")
    found = _ID.fullmatch(name.removeprefix("uuid:").strip("{}"))
    return None if found is None else UUID(found[0])


_ID = re.compile(r"(?:[0-9a-f]-?){32}")
_PLAIN = re.compile(r"[a-z][a-z0-9_+.:/@#?=-]*", re.ASCII)
_OTHER = re.compile(r"(?!memory|urn:|uuid:)[a-z][a-z0-9_+.-]*:", re.ASCII)
"""Begins a URI that names something else, without a look at the whole of it."""
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
"""What cannot be kept, as it is kept."""
_ENCODINGS = 3
"""Times that a text may have been percent-encoded."""
_UNSEEN = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff\ud800-\udfff]"
)
_BEFORE = "".join(chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum())
