"""What was done about it, and what people said of it, before Aurora saw it."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import claim, is_lowerable
from aurora.kernel.evidence import Provenance
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_BLOCKED = frozenset(
    {
        "blocked",
        "block",
        "dropped",
        "drop",
        "deny",
        "denied",
        "reject",
        "rejected",
        "prevented",
        "prevent",
        "quarantined",
        "quarantine",
        "cleaned",
        "removed",
        "remediated",
        "successfullyremediated",
    }
)
_SAID = {
    "falsepositive": (-25.0, "a false positive"),
    "truepositive": (12.0, "a true positive"),
    "benignpositive": (-5.0, "real and authorised"),
    "informationalexpectedactivity": (-2.0, "expected activity"),
}
_FOUND = {
    "malicious": (5.0, "malicious"),
    "suspicious": (2.0, "suspicious"),
    "clean": (-1.0, "clean"),
    "nothreatsfound": (-1.0, "free of threats"),
}


@rule(id="state.contained", version="1", title="Blocked or remediated by the product")
def contained(view: TriageView) -> Iterator[Contribution]:
    """Lower a little what the product says it blocked or cleaned.

    Looks for: actions and outcomes such as `blocked`, `quarantined`, `remediated`, in the product's own fields.

    Why: what was blocked did no harm, yet somebody tried, and may have got through elsewhere.

    Weight: -2. Containment is about damage, not about malice; it never closes.

    Refuted by: further alerts from the same source.
    """
    for each in view.fields("event.action", "event.outcome", "event.remediation"):
        value = each.attributes["value"].lower().replace(" ", "").replace("_", "")
        if value in _BLOCKED and is_lowerable(each):
            yield Contribution(
                rule="state.contained",
                weight=-2.0,
                claim=claim(
                    f"The product says that it was stopped: {quoted(each.attributes['value'], limit=40)}", each.id
                ),
            )


@rule(id="state.classified", version="1", title="Classification by people in the product")
def classified(view: TriageView) -> Iterator[Contribution]:
    """Weigh how an analyst classified the alert in the product, and what the product found of its parts.

    Looks for: `event.classification`, which people set; `event.verdict`, which the product's analysis sets.

    Why: a person who looked knows more than any rule. `Expected activity` though confirms that it
    *happened*: who authorised it cannot be checked here, an account that may classify can be stolen,
    and a drill looks like the real thing on purpose.

    Weights: people: -25 false positive (closes), +12 true positive, -5 benign positive, -2 expected
    activity. The product: +5 malicious, +2 suspicious, -1 clean, for any one part of the alert.

    Refuted by: a later verdict of an analyst in Aurora (`memory.analyst`).
    """
    for each in view.fields("event.classification"):
        weight, what = _SAID.get(_word(each.attributes["value"]), (0.0, ""))
        human = each.provenance is Provenance.HUMAN
        if weight > 0 or (weight < 0 and human):
            yield Contribution(
                rule="state.classified",
                weight=weight if human else weight / 2,
                closes=weight <= -25.0,
                claim=claim(f"Classified in the product as {what}", each.id),
            )
    for each in view.fields("event.verdict"):
        weight, what = _FOUND.get(_word(each.attributes["value"]), (0.0, ""))
        if weight > 0 or (weight < 0 and is_lowerable(each)):
            yield Contribution(
                rule="state.classified",
                weight=weight,
                claim=claim(f"The product's analysis found a part {what}", each.id),
            )


def _word(value: str) -> str:
    return "".join(char for char in value.lower() if char.isalpha())
