"""observables: find technical values in the alert's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aurora.kernel.models import Alert, Observable
from aurora.kernel.observables import extract

if TYPE_CHECKING:
    from graphs.state import TriageState

TEXTS = ("process.command_line", "process.parent.command_line", "url.full", "event.reason", "email.subject")
"""Fields of free text that name addresses, domains, files and hashes."""

LIMIT = 100
"""Observables of one alert; a flood of them in a command line is no reason to look them all up."""


async def observables(state: TriageState) -> TriageState:
    """Add what the alert's text names to what its fields say. A value keeps its better provenance."""
    alert = Alert.model_validate(state["alert"])
    found: dict[tuple[str, str], Observable] = {(each.type, each.value): each for each in alert.observables}
    for _, field in alert.named(*TEXTS):
        for each in extract(field.value, field.provenance):
            found.setdefault((each.type, each.value), each)
    return {"observables": [each.model_dump(mode="json") for each in list(found.values())[:LIMIT]]}
