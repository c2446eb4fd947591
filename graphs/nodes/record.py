"""record: make the verdict durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora.kernel.models import Alert, Observable, Verdict

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def record(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Write verdict, alert and case in one transaction that checks the task's epoch, then remember. Safe to repeat."""
    context = runtime.context
    verdict = Verdict.model_validate(state["verdict"])
    observables = [Observable.model_validate(each) for each in state["observables"]]
    written = await context.recorder.record(context.task, verdict, observables=observables)
    await context.memory.remember(Alert.model_validate(state["alert"]), verdict, observables)
    return {"verdict_id": str(written.verdict_id), "case_id": None if written.case_id is None else str(written.case_id)}
