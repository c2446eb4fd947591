"""The deterministic analyst: written rules weigh evidence, what does not hold is dropped, the sum decides.

Pure: no clock, no randomness, no I/O. The same view under the same rules gives the same decision,
whatever the order of the evidence. `docs/explanation/verdicts.md` tells the reasons at length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agents.opinion import RULE as MODEL
from agents.rules._reading import order
from aurora.kernel.evidence import Claim, Provenance
from aurora.kernel.models.verdict import Contribution, DroppedClaim, VerdictLabel
from aurora.kernel.ports.knowledge import AttackKnowledge
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.spec import RuleSpec
from aurora.sdk.view import TriageView

MALICIOUS = 13.0
"""Decibans. Malice is twenty times as likely as not, about 95 per cent."""
SUSPICIOUS = 5.0
"""Three times as likely as not, about 76 per cent."""
BENIGN = -5.0
"""A third as likely as not, about 24 per cent."""

_LEAST, _MOST = 0.05, 0.99  # rules are never certain, and never worthless
# What machines said is no reason to believe a machine; what the product rates stands in every alert, true or not.
_NO_REASON = (MODEL, "memory.machine", "severity.product")
_METHOD = "2"  # raise it when counting, thresholds or verification change


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the kept contributions come to."""

    label: VerdictLabel
    confidence: float
    """0.05 to 0.99, from the score alone."""
    score: float
    """Sum of the weights, decibans."""
    reason: str
    """One sentence; outside values in it are quoted."""
    techniques: tuple[str, ...]
    """Shown by contributions that count for malice, sorted."""


def rules_name(rules: Iterable[RuleSpec]) -> str:
    """Return `rules@<hash>`: the same for two runs exactly when ids and versions of all rules are."""
    listed = sorted(f"{rule.id}@{rule.version}" for rule in rules)
    return "rules@" + hashlib.sha256("\n".join([_METHOD, *listed]).encode()).hexdigest()[:12]


def theme(rule: str) -> str:
    """Return the theme of a rule, `command` of `command.encoded`: evidence of one theme is one opinion."""
    return rule.partition(".")[0]


def assess(view: TriageView, rules: Sequence[RuleSpec]) -> tuple[Contribution, ...]:
    """Return what every rule contributes, in an order that depends on neither rules nor evidence."""
    found = [contribution for rule in rules for contribution in rule.function(view)]
    return tuple(sorted(found, key=_rank))


def verify(
    view: TriageView, contributions: Sequence[Contribution], attack: AttackKnowledge
) -> tuple[tuple[Contribution, ...], tuple[DroppedClaim, ...]]:
    """Keep what holds, and say what does not and why.

    Dropped are claims without evidence or with evidence that is not there; lowering claims that rest
    only on what the adversary may have written; lowering claims of a model unless a rule that lowers, too,
    accepts some of their evidence (they weigh no more than that rule does); techniques that ATT&CK does not
    know (older ids become the current ones). Of the rest, the strongest raise and the strongest lowering of
    each theme count; the others stay, visible, with weight 0. So the weights of what is kept add up to the score.
    """
    kept: list[Contribution] = []
    dropped: dict[tuple[str, str], DroppedClaim] = {}

    def drop(text: str, reason: str) -> None:
        dropped[text, reason] = DroppedClaim(text=text, reason=reason)

    for each in contributions:
        text = str.__str__(each.claim.text)
        absent = [cited for cited in each.claim.evidence if cited not in view.by_id]
        if not each.claim.evidence:
            drop(text, "it cites no evidence")
        elif absent:
            drop(text, f"the evidence it cites does not exist: {', '.join(absent)}")
        elif (each.weight < 0 or each.closes) and all(
            view.by_id[cited].provenance is Provenance.ATTACKER_WRITABLE for cited in each.claim.evidence
        ):
            drop(text, "it would make the verdict milder, and rests only on what the adversary may have written")
        else:
            current = {technique: attack.current(technique) for technique in each.techniques}
            for technique, known in current.items():
                if known is None:
                    drop(technique, "ATT&CK does not know this technique")
            techniques = tuple(sorted({known for known in current.values() if known}))
            kept.append(each if techniques == each.techniques else each.model_copy(update={"techniques": techniques}))
    return _counted(list(_leaning(kept, drop))), tuple(dropped.values())


def decide(view: TriageView, kept: Sequence[Contribution], *, unfinished: str = "") -> Decision:
    """Return the label that the weights of verified contributions come to.

    At least 13 decibans: malicious; at least 5: suspicious; at most -5: benign; between: needs_review.
    A severe alert (high, critical) is benign only with a contribution that closes, and only by the weight of
    the rules: what a model takes off closes none. Otherwise, or without any evidence at all, a person must
    look. So they must where work was left `unfinished`: the words say why, and what would have been benign
    needs review.

    The confidence comes from the score alone, p = 1 / (1 + 10^(-score / 10)): p for malicious and
    suspicious, 1 - p for benign, and for needs_review 1 - |2p - 1|, how undecided it is.
    """
    score = round(sum(each.weight for each in kept), 1) + 0.0  # + 0.0: no negative zero
    p = 1.0 / (1.0 + 10.0 ** (-max(-200.0, min(200.0, score)) / 10.0))
    closes = any(each.closes and each.weight < 0 for each in kept)
    taken_off = sum(each.weight for each in kept if each.rule == MODEL and each.weight < 0)
    why = ""
    if not kept:
        label, why = VerdictLabel.NEEDS_REVIEW, "There is no evidence that a rule could weigh"
    elif score >= MALICIOUS:
        label = VerdictLabel.MALICIOUS
    elif score >= SUSPICIOUS:
        label = VerdictLabel.SUSPICIOUS
    elif score > BENIGN:
        label = VerdictLabel.NEEDS_REVIEW
    elif view.alert.severity.is_severe and score - taken_off > BENIGN:
        label = VerdictLabel.NEEDS_REVIEW
        why = (
            f"The evidence speaks for benign ({score:+.1f} decibans) only with the word of a model, which closes "
            f"no alert rated {view.alert.severity.value}"
        )
    elif view.alert.severity.is_severe and not closes:
        label = VerdictLabel.NEEDS_REVIEW
        why = (
            f"The evidence speaks for benign ({score:+.1f} decibans), but no reason that rules accept closes "
            f"an alert rated {view.alert.severity.value}"
        )
    elif unfinished:
        label, why = (
            VerdictLabel.NEEDS_REVIEW,
            f"The evidence speaks for benign ({score:+.1f} decibans), but {unfinished}",
        )
    else:
        label = VerdictLabel.BENIGN
    sure = {VerdictLabel.BENIGN: 1.0 - p, VerdictLabel.NEEDS_REVIEW: 1.0 - abs(2.0 * p - 1.0)}.get(label, p)
    techniques = {technique for each in kept if each.weight >= 0 for technique in each.techniques}
    return Decision(
        label=label,
        confidence=round(min(_MOST, max(_LEAST, sure)), 3),
        score=score,
        reason=why or _reason(label, score, kept),
        techniques=tuple(sorted(techniques)),
    )


def _reason(label: VerdictLabel, score: float, kept: Sequence[Contribution]) -> str:
    wanted = -1.0 if label is VerdictLabel.BENIGN else 1.0
    strongest = sorted(
        (each for each in kept if each.weight * wanted > 0), key=lambda each: (-abs(each.weight), _rank(each))
    )
    told = "; ".join(str.__str__(each.claim.text) for each in strongest[:2]) or str.__str__(kept[0].claim.text)
    opening = {VerdictLabel.NEEDS_REVIEW: "Not enough either way"}.get(label, label.value.capitalize())
    return f"{opening} ({score:+.1f} decibans): {told}"


def _leaning(kept: Sequence[Contribution], drop: Callable[[str, str], None]) -> Iterator[Contribution]:
    """Yield what holds; a model's claim that lowers leans on a rule that does, and weighs no more than it."""
    reasons: dict[str, float] = {}
    for each in kept:
        if each.weight < 0 and each.rule not in _NO_REASON:
            reasons |= {cited: min(each.weight, reasons.get(cited, 0.0)) for cited in each.claim.evidence}
    for each in kept:
        if each.rule != MODEL or each.weight >= 0:
            yield each
            continue
        leans_on = min(reasons.get(cited, 0.0) for cited in each.claim.evidence)
        if leans_on == 0:
            drop(
                str.__str__(each.claim.text),
                "a model's word makes a verdict milder only with evidence that a rule accepts as a reason to",
            )
        else:
            yield each.model_copy(update={"weight": max(each.weight, leans_on)})


def _counted(kept: Sequence[Contribution]) -> tuple[Contribution, ...]:
    """Let the strongest raise and the strongest lowering of each theme count, and the others for nothing."""
    strongest: dict[tuple[str, bool], Contribution] = {}
    for each in kept:
        side = theme(each.rule), each.weight < 0
        best = strongest.get(side)
        if best is None or (abs(each.weight), each.closes) > (abs(best.weight), best.closes):
            strongest[side] = each
    return tuple(
        each
        if each is strongest[theme(each.rule), each.weight < 0] or each.weight == 0
        else each.model_copy(
            update={
                "weight": 0.0,
                "claim": Claim(
                    text=UntrustedText(
                        f"{str.__str__(each.claim.text)} (counted once, with "
                        f"{strongest[theme(each.rule), each.weight < 0].rule})"
                    ),
                    evidence=each.claim.evidence,
                ),
            }
        )
        for each in kept
    )


def _rank(each: Contribution) -> tuple[str, float, list[tuple[str, int]], str]:
    return each.rule, -abs(each.weight), [order(cited) for cited in each.claim.evidence], str.__str__(each.claim.text)
