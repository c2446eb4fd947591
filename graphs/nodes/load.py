"""load: fetch the alert."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from aurora.kernel.ids import AlertId

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState


async def load(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Put the alert, as it was accepted, into the state."""
    alert = await runtime.context.alerts.load(AlertId(UUID(state["alert_id"])))
    return {"alert": alert.model_dump(mode="json", by_alias=False)}
