"""Suricata EVE from bytes to alerts, and from bytes to rows; and the memory that takes.

`BENCH_FULL=1` adds the run over a gigabyte, which takes some minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import orjson

from aurora.ingest.accept import CHUNK, Acceptor
from aurora.ingest.accepted import Accepted
from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import RawRecord, Source, read
from aurora.kernel.clock import SystemClock
from aurora.kernel.ids import AlertId, Uuid7Factory
from aurora.storage.sqlite import apply_pragmas
from aurora.storage.unit_of_work import Storage
from tests.bench import eve
from tests.bench.measurement import Measurement
from tests.command import ROOT
from tests.services import engine_with_schema

PARSED = 20_000
"""Records of one round of parsing."""
STORED = 10_000
"""Records of one round of accepting."""
SEED = 20261120
MIB = 1 << 20

_ALERT_ID = AlertId(UUID(int=1))
_TABLES = ("alerts", "alert_entities", "tasks", "runs", "alert_records")
_CHILD = "import sys; from tests.bench.bench_ingest import accept_file; print(accept_file(*sys.argv[1:]))"


def run() -> list[Measurement]:
    """Measure one after the other, on one core what computes."""
    return [*_normalised(), *_accepted(), *_peaks()]


def _normalised() -> Iterator[Measurement]:
    """Yield records per CPU second that are read, detected and normalised, the least disturbed of five rounds."""
    formats = Formats()
    for name, mixed in (("mix", True), ("alerts", False)):
        data = b"".join(eve.lines(random.Random(SEED), PARSED, mixed=mixed))
        yield Measurement(
            name=f"ingest.suricata.{name}.normalised",
            value=_rate(partial(_normalise_all, data, formats), PARSED, time.process_time, rounds=5),
            unit="records/s",
            better="higher",
            peer="orjson, parsing only",
            peer_value=_rate(partial(_parse_all, data), PARSED, time.process_time, rounds=5),
        )


def _accepted() -> Iterator[Measurement]:
    """Yield records a second from bytes to the end of correlation: a sensor's mix, and alerts only."""
    for name, lines in (
        ("mix", eve.lines(random.Random(SEED), STORED, mixed=True)),
        ("distinct", eve.lines(random.Random(SEED), STORED, mixed=False)),
        ("duplicates", eve.repeated(random.Random(SEED), STORED, each=10)),
    ):
        data = b"".join(lines)
        with TemporaryDirectory() as folder:
            databases = [Path(folder) / f"{number}.db" for number in range(3)]
            fresh, copies = iter(databases), iter(range(3))

            def accept(data: bytes = data, fresh: Iterator[Path] = fresh) -> None:
                asyncio.run(_accept([Source(name="bench", size_bytes=len(data), stream=BytesIO(data))], next(fresh)))

            def copy(databases: list[Path] = databases, copies: Iterator[int] = copies) -> None:
                _copy_rows(databases[0], databases[0].with_suffix(f".copy{next(copies)}"))

            yield Measurement(
                name=f"ingest.suricata.{name}.accepted",
                value=_rate(accept, STORED, time.perf_counter, rounds=3),
                unit="records/s",
                better="higher",
                peer="sqlite3, inserting the rows only",
                peer_value=_rate(copy, STORED, time.perf_counter, rounds=3),
            )


def _peaks() -> Iterator[Measurement]:
    """Yield the most memory that a process holds which accepts a file."""
    sizes = [("mix_100_mib", 100 * MIB, True), ("alerts_50_mib", 50 * MIB, False)]
    if os.environ.get("BENCH_FULL") == "1":
        sizes += [("mix_1_gib", 1024 * MIB, True), ("alerts_200_mib", 200 * MIB, False)]
    for name, size, mixed in sizes:
        with TemporaryDirectory() as folder:
            file, database = Path(folder) / "eve.json", Path(folder) / "aurora.db"
            eve.write(file, size_bytes=size, mixed=mixed)
            command = [sys.executable, "-c", _CHILD, str(file), str(database)]
            finished = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        yield Measurement(name=f"ingest.suricata.{name}.peak", value=float(finished.stdout), unit="MiB", better="lower")


def accept_file(path: str, database: str) -> float:
    """Accept a file into a new database; return the most memory this process ever held, in MiB."""
    file = Path(path)
    asyncio.run(_accept([Source(name=file.name, size_bytes=file.stat().st_size, path=file)], Path(database)))
    # Not getrusage: its maximum is inherited from the process that started this one.
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(held.split()[1]) / 1024, 1)


async def _accept(sources: list[Source], database: Path) -> Accepted:
    clock = SystemClock()
    async with engine_with_schema(f"sqlite:///{database}") as engine:
        acceptor = Acceptor(
            storage=Storage(engine), formats=Formats(), clock=clock, ids=Uuid7Factory(clock=clock), graph="triage"
        )
        accepted = await acceptor.accept(sources)
    if accepted.rejects:
        raise AssertionError("a generated record was rejected")
    return accepted


def _copy_rows(source: Path, target: Path) -> None:
    """Write the rows of acceptance again, in as many transactions, with nothing to compute or to check."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        apply_pragmas(new)
        new.execute("PRAGMA foreign_keys = OFF")
        for (statement,) in old.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC"):
            new.execute(statement)
        rows = {table: old.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES}
        parts = STORED // CHUNK
        for part in range(parts):
            for table, all_rows in rows.items():
                some = all_rows[len(all_rows) * part // parts : len(all_rows) * (part + 1) // parts]
                marks = ", ".join("?" * len(some[0]))
                new.executemany(f"INSERT INTO {table} VALUES ({marks})", some)
            new.commit()


def _normalise_all(data: bytes, formats: Formats) -> None:
    hint: str | None = None
    for item in read(Source(name="bench", size_bytes=len(data), stream=BytesIO(data))):
        chosen = formats.detect(item.document, hint=hint) if isinstance(item, RawRecord) else None
        if chosen is None or not isinstance(item, RawRecord):
            raise AssertionError("a generated record was not recognised")
        hint = chosen.id
        if chosen.context(item.document) is None:
            chosen.normalise(item.document, id=_ALERT_ID)


def _parse_all(data: bytes) -> None:
    for line in data.splitlines():
        orjson.loads(line)


def _rate(work: Callable[[], None], records: int, clock: Callable[[], float], *, rounds: int) -> float:
    rates = []
    for _ in range(rounds):
        begin = clock()
        work()
        rates.append(records / (clock() - begin))
    return round(max(rates))


if __name__ == "__main__":
    for result in run():
        print(result)
