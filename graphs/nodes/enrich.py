"""enrich: look the observables up, all enrichers side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aurora.kernel.models import Alert

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.context import RunContext
    from graphs.state import TriageState

LIMIT = 200
"""Findings of one alert."""


async def enrich(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Run every enricher on the alert with all its observables; keep their findings in the order of their ids.

    Of one that takes too long there is a finding which says so.
    """
    context = runtime.context
    alert = Alert.model_validate({**state["alert"], "observables": state["observables"]})
    answers = await asyncio.gather(
        *(each.find(alert, context.knowledge, clock=context.clock) for each in context.enrichers)
    )
    findings = [finding.model_dump(mode="json") for answer in answers for finding in answer]
    return {"enriched": findings[:LIMIT]}
