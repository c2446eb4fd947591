"""decide: from the weight of evidence to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import analyst
from aurora.kernel.ids import VerdictId
from aurora.kernel.models import Contribution, Decider, DroppedClaim, ModelUse, Verdict
from graphs.nodes.view import view_of

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState

_EXHAUSTED = "the budget of its run was used up before the model had answered"


async def decide(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Name the verdict, with its reason, its confidence and all the evidence that was looked at."""
    context = runtime.context
    view = view_of(state)
    kept = [Contribution.model_validate(each) for each in state["kept"]]
    dropped = [DroppedClaim.model_validate(each) for each in state["dropped"]]
    opinion = state.get("opinion")
    use = None if opinion is None else ModelUse.model_validate(opinion["use"])
    heard = opinion is not None and opinion["failure"] is None
    decision = analyst.decide(view, kept, unfinished=_EXHAUSTED if opinion and opinion["exhausted"] else "")
    rules = analyst.rules_name(context.rules)
    if opinion is not None and not heard:
        dropped.append(DroppedClaim(text="the model's opinion", reason=f"there is none: {opinion['failure']}"))
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
        dropped=tuple(dropped),
        decided_by=Decider.MODEL if heard else Decider.RULES,
        decided_name=f"{use.model} {use.prompt} {rules}"[:200] if use is not None and heard else rules,
        degraded=opinion is not None and not heard,
        model=use,
        created_at=context.clock.now(),
    )
    return {"verdict": verdict.model_dump(mode="json")}
