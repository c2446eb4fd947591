"""How serious the product itself calls it."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import claim, order
from aurora.kernel.models import Severity
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

WEIGHTS = {
    Severity.CRITICAL: 9.0,
    Severity.HIGH: 6.0,
    Severity.MEDIUM: 2.0,
    Severity.LOW: -5.0,
    Severity.INFO: -8.0,
}
_STATED_IN = ("event.severity", "log.level", "event.risk_score", "rule.severity", "rule.name", "message")


@rule(id="severity.product", version="1", title="Severity the product gave")
def severity(view: TriageView) -> Iterator[Contribution]:
    """The prior: how often alerts of this severity are real, before anything else is read.

    Looks for: the severity of the alert. It is there for every alert, so every verdict has this line.

    Why: a product's severity is its own estimate. Reported shares of real attacks differ by orders
    of magnitude between steps; about one per cent of real incidents begin as low or informational
    (Intezer, 25 million alerts), and those show themselves through other evidence.

    Weights: critical +9, high +6, medium +2, low -5, info -8 decibans. Chosen so that severity alone
    never reaches `malicious`, high alone is `suspicious`, medium alone asks for a person, and low
    alone, with nothing that speaks for an attack, is `benign`.

    Refuted by: any rule; this is the weakest opinion there is.
    """
    cited = next((each.id for name in _STATED_IN for each in view.fields(name) if each.provenance.is_trusted), None)
    if cited is None and view.evidence:
        trusted = [each.id for each in view.evidence if each.provenance.is_trusted]
        cited = min(trusted or [each.id for each in view.evidence], key=order)
    if cited is not None:
        step = view.alert.severity
        yield Contribution(
            rule="severity.product", weight=WEIGHTS[step], claim=claim(f"The product rates it {step.value}", cited)
        )
