"""How rules read evidence: signs in text, who wrote the text, and the claim that shows both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from aurora.kernel.evidence import Claim, Evidence, Provenance
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.sdk.view import TriageView

NAMED = ("rule.name", "rule.category", "threat.software.name", "threat.tactic.name", "threat.group.name")
"""The product's short names for what it saw; prose descriptions mention far more than happened."""

COMMANDS = (
    "process.command_line",
    "process.parent.command_line",
    "process.args",
    "process.title",
    "powershell.file.script_block_text",
    "powershell.command.value",
)
"""What was run, as whoever ran it wrote it."""

FILES = (
    "process.executable",
    "process.parent.executable",
    "process.name",
    "file.path",
    "file.name",
    "email.attachments.file.name",
    "dll.path",
)
"""Names and places of files and programs."""

REQUESTS = (
    "url.full",
    "url.original",
    "url.path",
    "url.query",
    "http.request.body.content",
    "http.request.body",
    "user_agent.original",
    "http.request.referrer",
)
"""What a client sent to a server."""

_LONGEST = 32_768  # characters; the longest command line Windows accepts
_CACHED = 512  # characters; 16,384 of them are 8 MB at the most
_SHOWN = 100  # characters; text of this length is quoted whole
_CITED = 4  # evidence ids a claim shows; more would not be read


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing to look for in text."""

    needles: tuple[str, ...]
    """Lower-case literals; at least one occurs in every text that `pattern` can match."""
    pattern: re.Pattern[str]
    """Searched in the text in lower case."""
    weight: float
    what: str
    """The claim, without the quoted match."""
    techniques: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Signs that are looked for together. Compared by identity, so that answers can be cached."""

    signs: tuple[Sign, ...]


def sign(needles: str, pattern: str, weight: float, what: str, *techniques: str) -> Sign:
    """Return a sign; `needles` are parted by `|`, an empty `pattern` looks for the needles themselves."""
    literals = tuple(needles.split("|"))
    return Sign(literals, re.compile(pattern or "|".join(map(re.escape, literals))), weight, what, techniques)


def table(*signs: Sign) -> Table:
    """Return a table of `signs`."""
    return Table(signs)


@dataclass(frozen=True, slots=True)
class Text:
    """Text to look for signs in, with the evidence it stands in."""

    evidence: Evidence
    plain: str
    """As it was written."""
    lower: str = field(init=False)
    """In lower case, which is where signs are looked for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", self.plain.lower())


def texts(view: TriageView, *names: str) -> list[Text]:
    """Return the fields named `names`, in order of their ids, so that record order changes nothing."""
    found = [Text(each, each.attributes["value"][:_LONGEST]) for each in view.fields(*names)]
    return sorted(found, key=lambda text: order(text.evidence.id))


@lru_cache(maxsize=4096)
def order(evidence_id: str) -> tuple[str, int]:
    """Return a sort key under which `f2` stands before `f10`."""
    letters = evidence_id.rstrip("0123456789")
    return letters, int(evidence_id[len(letters) :] or 0)


def by_product(texts: Iterable[Text]) -> list[Text]:
    """Keep what an adversary cannot author."""
    return [text for text in texts if text.evidence.provenance.is_trusted]


def is_lowerable(evidence: Evidence) -> bool:
    """Whether evidence may make a verdict milder: anything but what the adversary may have written."""
    return evidence.provenance is not Provenance.ATTACKER_WRITABLE


def named_by_product(view: TriageView, signs: Table, *, rule: str) -> Iterator[Contribution]:
    """Yield the signs in the product's short names for what it saw.

    Names that an adversary may have written, or whose author is unknown (a rule of one's own whose
    name quotes the event), count half.
    """
    named = texts(view, *NAMED)
    trusted = by_product(named)
    yield from signs_in(trusted, signs, rule=rule)
    if len(trusted) < len(named):
        yield from signs_in([text for text in named if text not in trusted], signs, rule=rule, share=0.5)


def signs_in(texts: Iterable[Text], signs: Table, *, rule: str, share: float = 1.0) -> Iterator[Contribution]:
    """Yield one contribution a sign that stands in `texts`, citing every place up to four.

    Args:
        texts: Where to look.
        signs: What to look for.
        rule: Id of the rule that contributes.
        share: Part of each sign's weight that counts here, 0 to 1.
    """
    places: dict[int, list[str]] = {}
    shown: dict[int, str] = {}
    for text in texts:
        lower = text.lower
        search = _cached_search if len(lower) <= _CACHED else _search
        for number, start, end in search(signs, lower):
            places.setdefault(number, []).append(text.evidence.id)
            if number not in shown:  # a few letters change their length with their case
                shown[number] = excerpt(text.plain if len(text.plain) == len(lower) else lower, start, end)
    for number in sorted(places):
        each = signs.signs[number]
        yield Contribution(
            rule=rule,
            weight=each.weight * share,
            techniques=each.techniques,
            claim=claim(f"{each.what}: {quoted(shown[number])}", *places[number]),
        )


def claim(text: str, *evidence: str) -> Claim:
    """Return a claim of `text`, which must hold outside values through `quoted` only."""
    cited = sorted(set(evidence), key=order)[:_CITED]
    return Claim(text=UntrustedText(text), evidence=tuple(cited))


def excerpt(text: str, start: int, end: int) -> str:
    """Return what stands at `start:end` with its surroundings; an ellipsis where text was left out."""
    if len(text) <= _SHOWN:
        return text
    first, last = max(0, start - 20), max(end, start + 60) + 20
    return f"{'…' if first else ''}{text[first:last].strip()}{'…' if last < len(text) else ''}"


def _search(signs: Table, text: str) -> tuple[tuple[int, int, int], ...]:
    """Return the number of each sign that stands in `text`, with the place where it starts and ends."""
    found = []
    for number, each in enumerate(signs.signs):
        for needle in each.needles:
            if needle in text:
                if match := each.pattern.search(text):
                    found.append((number, *match.span()))
                break
    return tuple(found)


# Names of rules and many command lines come again and again: 0.1 µs instead of 10 to 30 a table.
_cached_search = lru_cache(maxsize=16_384)(_search)
