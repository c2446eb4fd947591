"""recall: what was concluded before of alerts like this one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from aurora.kernel.ids import AlertId

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def recall(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Put past verdicts of the same fingerprint into the state; none of the alert's own batch is among them."""
    found = await runtime.context.recall.past_verdicts(AlertId(UUID(state["alert_id"])))
    return {"recalled": [each.model_dump(mode="json") for each in found]}
