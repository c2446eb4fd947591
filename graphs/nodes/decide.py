"""decide: from the weight of evidence to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import analyst
from aurora.kernel.ids import VerdictId
from aurora.kernel.models import Contribution, Decider, DroppedClaim, Verdict
from graphs.nodes.view import view_of

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def decide(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Name the verdict, with its reason, its confidence and all the evidence that was looked at."""
    context = runtime.context
    view = view_of(state)
    kept = [Contribution.model_validate(each) for each in state["kept"]]
    decision = analyst.decide(view, kept)
    verdict = Verdict(
        id=VerdictId(context.ids()),
        alert_id=view.alert.id,
        run_id=context.task.run_id,
        label=decision.label,
        confidence=decision.confidence,
        score=decision.score,
        reason=decision.reason,
        evidence=view.evidence,
        contributions=tuple(kept),
        techniques=decision.techniques,
        dropped=tuple(DroppedClaim.model_validate(each) for each in state["dropped"]),
        decided_by=Decider.RULES,
        decided_name=analyst.rules_name(context.rules),
        created_at=context.clock.now(),
    )
    return {"verdict": verdict.model_dump(mode="json")}
