"""The view that rules judge, rebuilt from the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora.kernel.evidence import Evidence
from aurora.kernel.models import Alert
from aurora.sdk.view import TriageView

if TYPE_CHECKING:
    from graphs.state import TriageState


def view_of(state: TriageState) -> TriageView:
    """Return the alert with all its evidence, in the order it was found.

    Fields have the ids `f1…`, findings `e1…`, and what a model looked up `t1…`.
    """
    alert = Alert.model_validate({**state["alert"], "observables": state["observables"]})
    findings = [*state["recalled"], *state["enriched"], *state["related"]]
    found = [
        Evidence.model_validate({**finding, "id": f"e{number}"}) for number, finding in enumerate(findings, start=1)
    ]
    looked_up = [Evidence.model_validate(each) for each in state.get("looked_up", ())]
    return TriageView(alert=alert, evidence=(*alert.evidence(), *found, *looked_up))
