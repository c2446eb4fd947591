"""A Windows event log from bytes to recognised events."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from evtx import PyEvtxParser

from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import RawRecord, Source, read
from tests.bench.measurement import Measurement
from tests.unit.ingest.evtx_file import Event, evtx

EVENTS = 50_000


def run() -> list[Measurement]:
    """Measure events per CPU second of this process and of the decoder's, the least disturbed of five rounds."""
    formats = Formats()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "sysmon.evtx"
        file.write_bytes(evtx(_events()))
        return [
            Measurement(
                name="ingest.evtx.recognised",
                value=_rate(partial(_recognise_all, file, formats)),
                unit="events/s",
                better="higher",
                peer="evtx, decoding only",
                peer_value=_rate(partial(_decode_all, file)),
            )
        ]


def _events() -> Iterator[Event]:
    """Yield creations of processes as Sysmon tells them; 700 bytes of JSON each."""
    for number in range(EVENTS):
        yield Event(
            event_id=1,
            data={
                "RuleName": "-",
                "UtcTime": "2026-11-20 08:15:00.123",
                "ProcessGuid": "{01935000-0000-7000-8000-000000000001}",
                "ProcessId": str(number),
                "Image": "C:\\Windows\\System32\\cmd.exe",
                "CommandLine": f"cmd.exe /c lab {number}",
                "User": "LAB\\kim",
                "Hashes": f"SHA256={number:064X}",
                "ParentImage": "C:\\Windows\\explorer.exe",
            },
        )


def _recognise_all(file: Path, formats: Formats) -> None:
    hint: str | None = None
    for item in read(Source(name="bench", size_bytes=file.stat().st_size, path=file)):
        chosen = formats.detect(item.document, hint=hint) if isinstance(item, RawRecord) else None
        if chosen is None or not isinstance(item, RawRecord) or chosen.context(item.document) != "sysmon":
            raise AssertionError("a generated event was not recognised")
        hint = chosen.id


def _decode_all(file: Path) -> None:
    if sum(1 for _ in PyEvtxParser(str(file), 1).records_json()) != EVENTS:
        raise AssertionError("a generated event was not decoded")


def _rate(work: Callable[[], None]) -> float:
    rates = []
    for _ in range(5):
        begin = _cpu_s()
        work()
        rates.append(EVENTS / (_cpu_s() - begin))
    return round(max(rates))


def _cpu_s() -> float:
    """Return the CPU time of this process and of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    for result in run():
        print(result)
