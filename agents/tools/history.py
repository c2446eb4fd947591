"""Tool: earlier alerts of an entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from aurora.kernel.evidence import Finding
from aurora.kernel.ports.lookup import Tie
from aurora.sdk import GiveUp, RetryWithHint, ToolContext, tool


@tool(id="past_alerts", version="1", title="Earlier alerts of an entity")
async def past_alerts(
    entity: Annotated[Tie, Field(description="What it is.")],
    value: Annotated[str, Field(min_length=1, max_length=300, description="Its name as it stands in the evidence.")],
    days: Annotated[int, Field(ge=1, le=365, description="How far back to look.")] = 30,
    *,
    context: ToolContext,
) -> Sequence[Finding]:
    """List earlier alerts that name a host, user, address, domain, file or hash, with what became of them."""
    if context.alert_id is None:
        raise GiveUp("this run works on no alert, so nothing is earlier")
    if not value.strip():
        raise RetryWithHint("give the entity's name as it stands in the evidence")
    findings = await context.lookup.past_alerts(context.alert_id, entity, value.strip(), days=days)
    if not findings:
        raise GiveUp(f"no alert of the {days} days before names this {entity}")
    return findings
