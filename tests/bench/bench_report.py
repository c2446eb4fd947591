"""The report of ten thousand alerts: time from the database to the file, its size, and the memory that takes."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update

from aurora.bootstrap import open_knowledge
from aurora.discovery import discover_content
from aurora.ingest.accept import Acceptor
from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import Source
from aurora.kernel.clock import SystemClock
from aurora.kernel.ids import Uuid7Factory
from aurora.reports import write_report
from aurora.services.report import report_of_alerts
from aurora.storage.engine import open_engine
from aurora.storage.models import AlertModel, VerdictModel
from aurora.storage.unit_of_work import Storage
from tests.bench import eve
from tests.bench.measurement import Measurement
from tests.command import ROOT
from tests.services import engine_with_schema

ALERTS = 10_000
SEED = 20261122
ROUNDS = 3

_CHILD = "import sys; from tests.bench.bench_report import report_file; print(*report_file(*sys.argv[1:]))"
_LABELS = ("malicious", "suspicious", "needs_review", "benign")


def run() -> list[Measurement]:
    """Measure in a process of its own, as the command has one; return the least disturbed round."""
    with TemporaryDirectory() as folder:
        database, page = Path(folder) / "aurora.db", Path(folder) / "report.html"
        asyncio.run(_fill(database))
        command = [sys.executable, "-c", _CHILD, str(database), str(page)]
        rounds = []
        for _ in range(ROUNDS):
            done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            rounds.append([float(each) for each in done.stdout.split()])
        size = page.stat().st_size
    seconds, peak = (min(each) for each in zip(*rounds, strict=True))
    return [
        Measurement(name="report.ten_thousand_alerts", value=seconds, unit="s", better="lower"),
        Measurement(name="report.ten_thousand_alerts.size", value=round(size / 1e6, 2), unit="MB", better="lower"),
        Measurement(name="report.ten_thousand_alerts.peak", value=peak, unit="MiB", better="lower"),
    ]


def report_file(database: str, page: str) -> tuple[float, float]:
    """Write the report of a database; return seconds, and the most memory this process ever held, in MiB."""
    began = time.perf_counter()
    asyncio.run(_report(database, Path(page)))
    seconds = time.perf_counter() - began
    # Not getrusage: its maximum is inherited from the process that started this one.
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(seconds, 2), round(int(held.split()[1]) / 1024, 1)


async def _report(database: str, page: Path) -> None:
    async with open_engine(f"sqlite:///{database}") as engine:
        report = await report_of_alerts(
            Storage(engine),
            filters={},
            content=discover_content(plugins=()),
            knowledge=open_knowledge(),
            clock=SystemClock(),
            version="bench",
        )
    if report.tally.total != ALERTS:
        raise AssertionError("alerts are missing")
    write_report(report, page)


async def _fill(database: Path) -> None:
    """Accept generated alerts, and write verdicts as triage does: each with all fields as evidence and seven claims."""
    clock = SystemClock()
    ids = Uuid7Factory(clock=clock)
    data = b"".join(eve.lines(random.Random(SEED), ALERTS, mixed=False))
    async with engine_with_schema(f"sqlite:///{database}") as engine:
        storage = Storage(engine)
        acceptor = Acceptor(storage=storage, formats=Formats(), clock=clock, ids=ids, graph="triage")
        accepted = await acceptor.accept([Source(name="eve.json", size_bytes=len(data), stream=BytesIO(data))])
        if accepted.alerts != ALERTS:
            raise AssertionError("a generated record is no alert of its own")
        async with storage.writing() as transaction:
            for number, (record_id, alert_id, _) in enumerate(list(accepted.records())):
                stored = await transaction.alerts.load(alert_id)
                evidence = [each.model_dump(mode="json") for each in stored.alert.evidence()]
                verdict_id = ids()
                row = _verdict(number, verdict_id, record_id, evidence)
                await transaction.connection.execute(insert(VerdictModel).values(**row, created_at=clock.now()))
                await transaction.connection.execute(
                    update(AlertModel).where(AlertModel.id == record_id).values(verdict_id=verdict_id)
                )


def _verdict(number: int, verdict_id: UUID, alert_id: UUID, evidence: list[dict[str, Any]]) -> dict[str, Any]:
    claims = [
        {
            "rule": "detection.behaviour",
            "weight": 10.0 - 3 * place,
            "claim": {"text": f"The product says «{each['text']}»", "evidence": [each["id"]]},
            "closes": False,
            "techniques": [],
        }
        for place, each in enumerate(evidence[:7])
    ]
    return {
        "id": verdict_id,
        "alert_id": alert_id,
        "label": _LABELS[number % 4],
        "confidence": 0.5 + number % 50 / 100,
        "score": 20.0,
        "reason": "Malicious (+20.0 decibans): what a rule says of it, at some length, as rules do",
        "evidence": evidence,
        "contributions": claims,
        "techniques": ["T1190"],
        "dropped": [],
        "decided_by": "rules",
        "decided_name": "rules@bench",
    }


if __name__ == "__main__":
    for result in run():
        print(result)
