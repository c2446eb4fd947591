"""What was concluded of alerts, kept by what they have in common, and recalled for the next of the kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aurora.kernel.canonical import canonical, digest
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.models import Alert, Decider, Observable, Verdict, VerdictLabel
from aurora.kernel.untrusted import UntrustedText, quoted
from memory.items import Item, NewItem, Source, Tier, Trust
from memory.reading import Items

if TYPE_CHECKING:
    from memory.memory import Memory
    from memory.ports import Fence

NAMESPACE = ("judgements",)
KIND = "outcome"

_WEIGHTS = {"rule": 3.0, "technique": 1.0}
_OTHER = 2.0
"""Of an entity or an observable."""

_COMMANDS = ("process.command_line", "process.parent.command_line", "powershell.file.script_block_text")
"""Long texts that tell one program's work from another's; two are compared by a mark of them."""

MOST_FEATURES = 40
"""Of one alert: what a flood of observables would add says nothing."""

LIKE = 0.5
"""Similarity from which a judgement is about an alert of the same kind."""

SHOWN = 3
"""Judgements that one alert is shown."""

FACTS = 5
"""Facts that one alert is shown."""

_CANDIDATES = 200
"""Judgements of one detection that are compared, the latest first."""

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
    """What makes two alerts alike: the detection, its techniques, and who and what took part."""

    all: frozenset[str]
    """As `rule:…`, `technique:…`, `host:…`, `ip:…`; at most `MOST_FEATURES`."""

    @classmethod
    def of(cls, alert: Alert, observables: Iterable[Observable]) -> Features:
        """Return the features of an alert."""
        named = [
            f"rule:{detection(alert)}",
            *(f"technique:{each}" for each in alert.mitre_techniques),
            *(f"{each.type.value}:{each.value}" for each in alert.entities),
            *(f"command:{_mark(field.value)}" for _, field in alert.named(*_COMMANDS)),
            *sorted(f"{each.type.value}:{each.value}" for each in observables),
        ]
        return cls(frozenset(list(dict.fromkeys(named))[:MOST_FEATURES]))

    @property
    def key(self) -> str:
        """The same for alerts with the same features, and for no others."""
        return digest(canonical(sorted(self.all)))

    @property
    def marks(self) -> frozenset[str]:
        """The same to compare and to keep: of names that others may have chosen only what tells them apart."""
        return frozenset(map(_kept, self.all))

    def similarity(self, others: frozenset[str]) -> float:
        """Return the weight of what both have as a share of what either has, 0 to 1; `others` are marks."""
        own = self.marks
        either = sum(map(_weight, own | others))
        return sum(map(_weight, own & others)) / either if either else 0.0


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

        Of several that are as alike, those of people come first; one that found malice is always among them.

        Args:
            alert: The alert that is worked on.
            observables: All values that it names.
            as_of: Only what was held then, so that those who work at the same time do not see one another.
        """
        features, now = Features.of(alert, observables), self._memory.clock.now()
        async with self._memory.transactions.reading() as connection:
            items = Items(connection, tenant=self._memory.tenant)
            judged = await items.true_at([_subject(alert)], now=now, as_of=as_of, limit=_CANDIDATES)
            facts = await items.true_at(subjects(features.all), now=now, as_of=as_of, limit=4 * FACTS)
        known = [item for item in facts if item.tier is Tier.SEMANTIC]
        return [
            *(_finding(item, likeness, at=as_of or now) for likeness, item in _best(judged, features)),
            *(_fact(item) for item in sorted(known, key=lambda each: -each.trust)[:FACTS]),
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
    shown = sorted(_trusted(alert, observables))
    why = f" because {quoted(verdict.reason, limit=500)}" if by_person and verdict.reason else ""
    who = f"analyst {quoted(verdict.decided_name)}" if by_person else verdict.decided_by.value
    text = f"{title} {' '.join(shown)}: judged {verdict.label.value} by {who}{why}".strip()
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


def subjects(features: Iterable[str]) -> list[str]:
    """Return what facts about those who take part are about: `host:web-1`, `ip:192.0.2.7`, …"""
    return [each for each in features if not each.startswith(("rule:", "technique:", "command:"))]


def _subject(alert: Alert) -> str:
    return f"detection:{detection(alert)}"[:300]


def _mark(text: str) -> str:
    """Return the same for texts that differ in case and blanks alone."""
    return digest("".join(str.__str__(text).lower().split()).encode("utf-8", "surrogatepass"))[:16]


def _kept(feature: str) -> str:
    kind, _, value = feature.partition(":")
    return feature if kind in {*_WEIGHTS, "command"} else f"{kind}:{_mark(value)}"


def _weight(feature: str) -> float:
    return _WEIGHTS.get(feature.partition(":")[0], _OTHER)


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
    return {each for each in kept if (alert.rule or not each.startswith("rule:")) and not each.startswith("command:")}


def _says_the_same(standing: Item | None, item: NewItem) -> bool:
    """Tell whether there is nothing to write: the same conclusion stands, or that of somebody who is trusted more."""
    if standing is None:
        return False
    if standing.trust is Trust.OPERATOR and item.value["decided_by"] != Decider.ANALYST.value:
        return True
    return all(standing.value.get(name) == item.value[name] for name in ("label", "decided_by", "reason"))


def _best(judged: Iterable[Item], features: Features) -> list[tuple[float, Item]]:
    alike = [
        (likeness, item)
        for item in judged
        if _is_judgement(item) and (likeness := features.similarity(frozenset(item.value["features"]))) >= LIKE
    ]
    ranked = sorted(
        alike, key=lambda each: (-each[0], -each[1].trust, -each[1].recorded_at.timestamp(), str(each[1].id))
    )
    shown = ranked[:SHOWN]
    adverse = [each for each in ranked if each[1].value["label"] == VerdictLabel.MALICIOUS.value]
    if adverse and adverse[0] not in shown:
        shown[-1] = adverse[0]
    return shown


def _is_judgement(item: Item) -> bool:
    """Tell whether an item is one: whatever else has its subject is not, nor what says of itself that a person did."""
    value = item.value
    features, said_by = value.get("features"), value.get("decided_by")
    return (
        item.kind == KIND
        and item.namespace == NAMESPACE
        and value.get("label") in _LABELS
        and said_by in _DECIDERS
        and (said_by != Decider.ANALYST.value or item.trust is Trust.OPERATOR)
        and isinstance(value.get("decided_name"), str)
        and isinstance(features, list)
        and all(isinstance(each, str) for each in features)
    )


def _finding(item: Item, likeness: float, *, at: datetime) -> Finding:
    by_person = item.trust is Trust.OPERATOR
    days = max(0, (at - item.recorded_at).days)
    who = f"analyst {quoted(str(item.value['decided_name']))}" if by_person else str(item.value["decided_by"])
    why = f": {quoted(str(item.value['reason']), limit=160)}" if item.value.get("reason") else ""
    when = "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"
    return Finding(
        kind="similar_case",
        provenance=provenance_of(item),
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
            "trust": item.trust.name.lower(),
            "age_days": str(days),
        },
    )


def _fact(item: Item) -> Finding:
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
        },
    )


def provenance_of(item: Item) -> Provenance:
    """Return who can have written an item, no better than its worst source."""
    if item.trust is Trust.OPERATOR:
        return Provenance.HUMAN
    if item.trust is Trust.EXTERNAL_CONTENT:
        return Provenance.ATTACKER_WRITABLE
    kinds = {source.provenance for source in item.sources}
    return kinds.pop() if len(kinds) == 1 else Provenance.AGENT_DERIVED
