"""An enricher has a limit: what hangs costs an alert seconds, and is seen."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk import enricher
from aurora.testing import ManualClock
from graphs.nodes.enrich import enrich
from tests.unit.agents.making import make_alert

FOUND = Finding(kind="domain", provenance=Provenance.SENSOR, text=UntrustedText("found"))
NOTHING: Any = None


@enricher(id="lookup", version="2", title="Lookup", timeout=timedelta(seconds=3))
async def hangs(_alert: Any, _knowledge: Any) -> list[Finding]:
    """Ask a source that does not answer."""
    await asyncio.Event().wait()
    return [FOUND]


@enricher(id="local", version="1", title="Local")
async def quick(_alert: Any, _knowledge: Any) -> list[Finding]:
    """Look it up in memory."""
    return [FOUND]


@enricher(id="broken", version="1", title="Broken")
async def broken(_alert: Any, _knowledge: Any) -> list[Finding]:
    """Fail."""
    raise LookupError


async def test_what_answers_in_time_is_handed_on_as_it_is(clock: ManualClock) -> None:
    assert await quick.find(NOTHING, NOTHING, clock=clock) == [FOUND]


async def test_what_does_not_answer_ends_after_its_own_limit_in_a_finding_that_says_so(clock: ManualClock) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(hangs.find(NOTHING, NOTHING, clock=clock))
        for _ in range(4):  # until it waits
            await asyncio.sleep(0)
        clock.advance(timedelta(seconds=2.9))
        await asyncio.sleep(0)
        early = asked.done()
        clock.advance(timedelta(seconds=0.1))

    (finding,) = asked.result()
    assert not early
    assert (finding.kind, finding.source, finding.attributes) == ("unanswered", "lookup 2", {"enricher": "lookup"})
    assert finding.text == "enricher lookup gave no answer within 3 s: what it knows is missing"
    assert not finding.provenance.is_trusted


async def test_what_fails_fails_as_it_did_without_a_limit(clock: ManualClock) -> None:
    with pytest.raises(LookupError):
        await broken.find(NOTHING, NOTHING, clock=clock)


def test_ten_seconds_are_the_limit_of_whoever_names_none() -> None:
    assert quick.timeout == timedelta(seconds=10)


@pytest.mark.parametrize("limit", [timedelta(), timedelta(seconds=-1), 10])
def test_a_limit_that_is_no_duration_is_a_fault(limit: Any) -> None:
    made = enricher(id="x", version="1", title="X", timeout=limit)(quick.function)

    assert list(made.faults()) == ["timeout must be a timedelta above zero"]


async def test_a_source_that_hangs_costs_an_alert_its_findings_only_and_leaves_a_trace(clock: ManualClock) -> None:
    alert = make_alert(("source.ip", "10.0.0.7")).model_dump(mode="json")
    context = SimpleNamespace(enrichers=(quick, hangs), knowledge=NOTHING, clock=clock)
    state: Any = {"alert": alert, "observables": []}
    runtime: Any = SimpleNamespace(context=context)

    async with asyncio.TaskGroup() as group:
        enriching = group.create_task(enrich(state, runtime))
        for _ in range(8):  # until only the one that hangs is waited for
            await asyncio.sleep(0)
        clock.advance(timedelta(seconds=3))

    assert [each["kind"] for each in enriching.result()["enriched"]] == ["domain", "unanswered"]
