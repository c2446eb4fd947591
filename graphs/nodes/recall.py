"""recall: what was concluded before of alerts like this one, and what is known of those who take part."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, Observable

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def recall(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Put past verdicts of the same fingerprint into the state, then what memory holds of similar alerts.

    Nothing of the alert's own batch is among them.
    """
    context = runtime.context
    same = await context.recall.past_verdicts(AlertId(UUID(state["alert_id"])))
    known = await context.memory.similar(
        Alert.model_validate(state["alert"]), [Observable.model_validate(each) for each in state["observables"]]
    )
    return {"recalled": [each.model_dump(mode="json") for each in (*same, *known)]}
