"""Runs the whole pipeline with a still clock and seeded ids."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora.bootstrap import open_pipeline, open_runtime
from aurora.ingest.reading import Source
from aurora.kernel.ids import Uuid7Factory
from aurora.services.outcomes import outcome_document
from aurora.services.replays import replay_run
from aurora.settings import load_settings
from aurora.testing import ManualClock

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def triage(
    database: str,
    sources: Sequence[Source],
    *,
    jobs: int = 1,
    seed: int = 7,
    at: datetime = START,
    chat: Any = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Triage sources into a database; return what `aurora triage --json` tells, in input order."""
    clock = ManualClock(at)
    ids = Uuid7Factory(clock=clock, generator=random.Random(seed))
    named = {} if chat is None else {"model__name": "scripted:model"}
    chosen = load_settings(environ={}, database={"url": database}, **named, **settings)
    async with (
        open_runtime(chosen, clock=clock, ids=ids, chat=chat) as runtime,
        open_pipeline(runtime, jobs=jobs) as pipeline,
    ):
        done = await pipeline.triage(sources)
        records = list(done.accepted.records())
        async with runtime.storage.reading() as transaction:
            outcomes = await transaction.alerts.outcomes([record_id for record_id, _, _ in records])
    return [outcome_document(outcome, file=file) for outcome, (_, _, file) in zip(outcomes, records, strict=True)]


async def replays(database: str, documents: Sequence[dict[str, Any]], **given: Any) -> list[dict[str, Any]]:
    """Replay the runs of triaged records; return what `aurora replay --json` tells."""
    settings = load_settings(environ={}, database={"url": database})
    async with open_runtime(settings, **given) as runtime:
        return [
            await replay_run(runtime.storage, each["run_id"], content=runtime.content, context=runtime.replaying)
            for each in documents
        ]


def content(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a verdict says without what is drawn anew in every run."""
    drawn = {"alert_id", "duplicate_of", "case_id", "run_id"}
    return {key: value for key, value in document.items() if key not in drawn}


def fixtures(folder: str) -> list[Path]:
    """Return the fixture files of a format, in name order."""
    return sorted((Path(__file__).parents[1] / "fixtures" / "alerts" / folder).glob("*.json"))
