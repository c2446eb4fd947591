"""What was concluded of alerts, kept by what they have in common, and recalled for the next of the kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aurora.kernel.canonical import canonical, digest
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.models import Alert, Decider, Observable, Verdict, VerdictLabel
from aurora.kernel.models.alert import Entity
from aurora.kernel.untrusted import UntrustedText, quoted
from memory.frame import concluded_by, provenance_of
from memory.items import Item, NewItem, Source, Tier, Trust
from memory.outlines import Outline, Outlines
from memory.reading import Items

if TYPE_CHECKING:
    from memory.memory import Memory
    from memory.ports import Fence

NAMESPACE = ("judgements",)
KIND = "outcome"

_WEIGHTS = {"rule": 3.0, "technique": 1.0}
_OTHER = 2.0
"""Of an entity, an observable or a command."""

_PLAIN = frozenset({*_WEIGHTS, "command", "rest"})
"""Kinds of features whose values are kept as they are: names of a product, and marks."""

_COMMANDS = ("process.command_line", "process.parent.command_line", "powershell.file.script_block_text")
"""Long texts that tell one program's work from another's; two are compared by a mark of them."""

MOST_FEATURES = 40
"""Of one alert that are kept one by one. The others are one that weighs as much as they: a flood excuses nothing."""

MOST_SUBJECTS = 400
"""Of one alert about which facts are looked up; those that no adversary can author come first."""

LIKE = 0.5
"""Similarity from which a judgement is about an alert of the same kind."""

STUFFED = 2.0
"""Weight of all that outsiders may have written together where two alerts are compared to excuse one by the other."""

SHOWN = 3
"""Judgements that one alert is shown."""

FACTS = 5
"""Facts that one alert is shown."""

_CANDIDATES = 200
"""Judgements of one detection that are compared, the latest of each degree of trust."""

_LONGEST = 200
"""Characters of a feature that is kept in plain."""

_MOST_SHOWN = 4_000
"""Characters of the values that a judgement's text repeats."""

_LABELS = frozenset(each.value for each in VerdictLabel)
_DECIDERS = frozenset(each.value for each in Decider)

_IMPORTANCE = {
    VerdictLabel.MALICIOUS: 0.9,
    VerdictLabel.SUSPICIOUS: 0.7,
    VerdictLabel.NEEDS_REVIEW: 0.5,
    VerdictLabel.BENIGN: 0.4,
}


@dataclass(frozen=True, slots=True)
class Features:
    """What makes two alerts alike: the detection, its techniques, what was run, and who and what took part."""

    all: frozenset[str]
    """As `rule:…`, `technique:…`, `host:…`, `ip:…`; at most `MOST_FEATURES`, and `rest:…` for all others."""
    written: frozenset[str]
    """Marks of those that an adversary may have chosen, but for commands: to choose the same one is to do the same."""
    subjects: tuple[str, ...]
    """What facts about those who take part are about: `host:web-1`, `ip:192.0.2.7`, …; at most `MOST_SUBJECTS`."""

    @classmethod
    def of(cls, alert: Alert, observables: Iterable[Observable]) -> Features:
        """Return the features of an alert."""
        detected = [f"rule:{detection(alert)}", *(f"technique:{each}" for each in alert.mitre_techniques)]
        ran = [f"command:{_ran(field.value)}" for _, field in alert.named(*_COMMANDS)]
        parties: list[Entity | Observable] = [*alert.entities, *observables]
        told = sorted({f"{each.type.value}:{each.value}" for each in parties if each.provenance.is_trusted})
        written = sorted({f"{each.type.value}:{each.value}" for each in parties} - {*told})
        named = list(dict.fromkeys([*detected, *ran, *told, *written]))
        rest = named[MOST_FEATURES:]
        return cls(
            all=frozenset(
                [*named[:MOST_FEATURES], *([f"rest:{len(rest)}:{_mark(chr(10).join(rest))}"] if rest else ())]
            ),
            written=frozenset(map(_kept, [*written, *(() if alert.rule else detected[:1])])),
            subjects=tuple([*told, *written][:MOST_SUBJECTS]),
        )

    @property
    def key(self) -> str:
        """The same for alerts with the same features, and for no others."""
        return digest(canonical(sorted(self.all)))

    @property
    def marks(self) -> frozenset[str]:
        """The same to compare and to keep: of names that others may have chosen only what tells them apart."""
        return frozenset(map(_kept, self.all))

    def similarity(self, others: frozenset[str]) -> float:
        """Return the weight of what both have as a share of what either has, 0 to 1; `others` are marks.

        What a flood added does not count: it would hide what was found of the last flood.
        """
        own, theirs = ({each for each in some if not each.startswith("rest:")} for some in (self.marks, others))
        either = sum(map(_weight, own | theirs))
        return sum(map(_weight, own & theirs)) / either if either else 0.0

    def excused_by(self, others: frozenset[str]) -> float:
        """Return the similarity that may make a verdict milder.

        It is 0 where something was run that was not run there. And what outsiders may have written counts as little
        as one value where both have it, and in full where they differ: nobody gets in by repeating what was excused.
        """
        own = self.marks
        if any(each.startswith("command:") for each in own - others):
            return 0.0
        shared = sum(map(_weight, own & others))
        stuffed = max(0.0, sum(map(_weight, own & others & self.written)) - STUFFED)
        either = sum(map(_weight, own | others)) - stuffed
        return (shared - stuffed) / either if either else 0.0


class Judgements:
    """Judgements of one tenant.

    What has the same features has one judgement that stands: a later one takes its place if it is trusted as much, so
    that no machine overrules a person.

    Args:
        memory: Where they are kept.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def remember(
        self, judged: Sequence[tuple[Alert, Verdict, Sequence[Observable]]], *, fence: Fence | None = None
    ) -> None:
        """Keep what was concluded of alerts. Safe to repeat.

        Raises:
            AuroraError: the fence or the database refused; nothing was written.
        """
        latest = {item.key or "": item for item in (judgement(*each) for each in judged)}
        async with self._memory.transactions.reading() as connection:
            standing = await Items(connection, tenant=self._memory.tenant).named_all(NAMESPACE, list(latest))
        fresh = [item for key, item in latest.items() if not _says_the_same(standing.get(key), item)]
        if fresh:
            # They are recalled by their features; a model's vectors would cost more than the triage.
            await self._memory.remember(fresh, actor="aurora", fence=fence, embeds=False)

    async def similar(
        self, alert: Alert, observables: Sequence[Observable], *, as_of: datetime | None = None
    ) -> list[Finding]:
        """Return judgements of alerts of the same kind, and facts about who took part; of each kind the best first.

        Of several that are as alike, those of people come first. However many others are more alike, the best of a
        person is among them, and so is the best that found malice, of a person before any other.

        Args:
            alert: The alert that is worked on.
            observables: All values that it names.
            as_of: Only what was held then, so that those who work at the same time do not see one another.
        """
        features, now = Features.of(alert, observables), self._memory.clock.now()
        async with self._memory.transactions.reading() as connection:
            items = Items(connection, tenant=self._memory.tenant)
            outlines = Outlines(connection, tenant=self._memory.tenant)
            judged = await outlines.latest(
                _subject(alert), kind=KIND, namespace=NAMESPACE, now=now, as_of=as_of, limit=_CANDIDATES
            )
            best = await items.rows([each.seq for each in _best(judged, features)])
            facts: list[Item] = []
            if await outlines.is_any_known(features.subjects):
                facts = await items.true_at(features.subjects, now=now, as_of=as_of, limit=4 * FACTS)
        known = [item for item in facts if item.tier is Tier.SEMANTIC]
        return [
            *(_finding(item, features, at=as_of or now) for item in best.values()),
            *(_fact(item, at=as_of or now) for item in sorted(known, key=lambda each: -each.trust)[:FACTS]),
        ]


def judgement(alert: Alert, verdict: Verdict, observables: Sequence[Observable]) -> NewItem:
    """Return a verdict as an item.

    Its text repeats only values that no adversary can author; the others serve comparison and are never shown. What a
    machine concluded rests on the alert, whose title others may have written. What a person decided rests on the
    person alone, so that title is left out.
    """
    features = Features.of(alert, observables)
    by_person = verdict.decided_by is Decider.ANALYST
    title = quoted(alert.title) if not by_person or _is_sensors(alert) else ""
    shown = " ".join(sorted(_trusted(alert, observables)))[:_MOST_SHOWN]
    why = f" because {quoted(verdict.reason, limit=500)}" if by_person and verdict.reason else ""
    who = f"analyst {quoted(verdict.decided_name)}" if by_person else verdict.decided_by.value
    text = f"{title} {shown}: judged {verdict.label.value} by {who}{why}".strip()
    sources = (
        (Source(uri=f"user:{verdict.decided_name}"[:400], provenance=Provenance.HUMAN),)
        if by_person
        else (
            Source(
                uri=f"alert:{alert.id}",
                provenance=Provenance.SENSOR if _is_sensors(alert) else Provenance.ATTACKER_WRITABLE,
            ),
            Source(uri=f"run:{verdict.run_id}", provenance=Provenance.AGENT_DERIVED),
        )
    )
    return NewItem(
        tier=Tier.EPISODIC,
        kind=KIND,
        text=text,
        sources=sources,
        value={
            "label": verdict.label.value,
            "decided_by": verdict.decided_by.value,
            "decided_name": verdict.decided_name,
            "reason": verdict.reason if by_person else "",
            "features": sorted(features.marks),
        },
        subject=_subject(alert),
        namespace=NAMESPACE,
        key=features.key,
        importance=_IMPORTANCE[verdict.label],
    )


def detection(alert: Alert) -> str:
    """Return what names the detection behind an alert; a mark of its title where the product has no ids of rules.

    The title itself may be outside text, and what a person decides is kept under this name.
    """
    return f"{alert.source}:{alert.rule or f'title-{_mark(alert.title)}'}"


def _subject(alert: Alert) -> str:
    return f"detection:{detection(alert)}"[:300]


def _mark(text: str) -> str:
    """Return the same for texts that differ in case and blanks alone."""
    return digest("".join(str.__str__(text).lower().split()).encode("utf-8", "surrogatepass"))[:16]


def _ran(text: str) -> str:
    """Return the same for commands that differ in the number of blanks, and in the case of what is not encoded."""
    words = [each if _ENCODED.fullmatch(each) else each.lower() for each in str.__str__(text).split()]
    return digest(" ".join(words).encode("utf-8", "surrogatepass"))[:16]


_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}", re.ASCII)
"""A word whose letters mean something else in the other case."""


def _kept(feature: str) -> str:
    kind, _, value = feature.partition(":")
    is_plain = kind in _PLAIN and len(feature) <= _LONGEST
    return feature if is_plain else f"{kind}:{_mark(value)}"


def _weight(feature: str) -> float:
    kind, _, value = feature.partition(":")
    if kind == "rest":
        count = value.partition(":")[0]
        return _OTHER * int(count) if count.isascii() and count.isdecimal() and len(count) < 7 else _OTHER
    return _WEIGHTS.get(kind, _OTHER)


def _is_sensors(alert: Alert) -> bool:
    """Tell whether the alert's title is the product's own: it names its rule, and the title is a field of its own."""
    title = str.__str__(alert.title)
    same = [each.provenance for each in alert.fields if str.__str__(each.value) == title]
    return bool(alert.rule and same) and all(each.is_trusted for each in same)


def _trusted(alert: Alert, observables: Iterable[Observable]) -> set[str]:
    kept = Features.of(
        alert.model_copy(update={"entities": tuple(each for each in alert.entities if each.provenance.is_trusted)}),
        [each for each in observables if each.provenance.is_trusted],
    ).all
    return {
        each
        for each in kept
        if (alert.rule or not each.startswith("rule:")) and not each.startswith(("command:", "rest:"))
    }


def _says_the_same(standing: Item | None, item: NewItem) -> bool:
    """Tell whether there is nothing to write: the same conclusion stands, or that of somebody who is trusted more."""
    if standing is None:
        return False
    if standing.trust is Trust.OPERATOR and item.value["decided_by"] != Decider.ANALYST.value:
        return True
    return all(standing.value.get(name) == item.value[name] for name in ("label", "decided_by", "reason"))


def _best(judged: Iterable[Outline], features: Features) -> list[Outline]:
    alike = [
        (likeness, item)
        for item in judged
        if _is_judgement(item) and (likeness := features.similarity(frozenset(item.value["features"]))) >= LIKE
    ]
    alike.sort(key=lambda each: (-each[0], -each[1].trust, -each[1].recorded_at.timestamp(), str(each[1].id)))
    ranked = [item for _, item in alike]
    people = [item for item in ranked if item.trust is Trust.OPERATOR]
    malicious = [item for item in (*people, *ranked) if item.value["label"] == VerdictLabel.MALICIOUS.value]
    taken = {item.id for item in [*people[:1], *malicious[:1]]}
    for item in ranked:
        if len(taken) >= SHOWN:
            break
        taken.add(item.id)
    return [item for item in ranked if item.id in taken]


def _is_judgement(item: Outline) -> bool:
    """Tell whether an item is one: what has another shape is not, nor what says of itself that a person did."""
    value = item.value
    features, said_by = value.get("features"), value.get("decided_by")
    return (
        value.get("label") in _LABELS
        and said_by in _DECIDERS
        and (said_by != Decider.ANALYST.value or item.trust is Trust.OPERATOR)
        and isinstance(value.get("decided_name"), str)
        and isinstance(features, list)
        and all(isinstance(each, str) for each in features)
    )


def _finding(item: Item, features: Features, *, at: datetime) -> Finding:
    marks = frozenset(item.value["features"])
    likeness = features.similarity(marks)
    by_person = item.trust is Trust.OPERATOR
    days = max(0, (at - item.recorded_at).days)
    who = f"analyst {quoted(str(item.value['decided_name']))}" if by_person else str(item.value["decided_by"])
    why = f": {quoted(str(item.value['reason']), limit=160)}" if item.value.get("reason") else ""
    when = "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"
    return Finding(
        kind="similar_case",
        provenance=concluded_by(item),
        text=UntrustedText(
            f"an alert of the same detection, {likeness:.0%} alike, "
            f"was judged {item.value['label']} by {who} {when}{why}"
        ),
        source=f"memory:{item.id}",
        attributes={
            "memory": str(item.id),
            "label": str(item.value["label"]),
            "decided_by": str(item.value["decided_by"]),
            "decided_name": str(item.value["decided_name"]),
            "similarity": f"{likeness:.2f}",
            "excuses": f"{features.excused_by(marks):.2f}",
            "trust": item.trust.name.lower(),
            "age_days": str(days),
        },
    )


def _fact(item: Item, *, at: datetime) -> Finding:
    return Finding(
        kind="fact",
        provenance=provenance_of(item),
        text=UntrustedText(str.__str__(item.text)),
        source=f"memory:{item.id}",
        attributes={
            "memory": str(item.id),
            "subject": item.subject or "",
            "predicate": item.predicate or "",
            "object": item.object or "",
            "trust": item.trust.name.lower(),
            "age_days": str(max(0, (at - item.recorded_at).days)),
        },
    )
