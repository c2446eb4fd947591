"""Every JSON format from bytes to alerts: one row a format, of records varied from its fixtures.

A new format needs nothing here: its folder in `tests/fixtures/alerts` is its row.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.ids import AlertId
from tests.bench.measurement import Measurement
from tests.unit.ingest.alert_fixtures import ALL, document

RECORDS = 1_500
"""Of one round: 0.1 s, short enough that some rounds are not disturbed where others use the machine, too."""
ROUNDS = 40
SEED = 20261120

_ALERT_ID = AlertId(UUID(int=1))
_ADDRESS = re.compile(r"\b(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}\b")
_NETWORK = 24
"""Hosts of each documentation network that the varied records name."""
_NAME = re.compile(r"\b(kim|lee|ws-7|web-1|node-1|dc-1)\b", re.IGNORECASE)
"""Users and hosts of the fixtures; each becomes one of a hundred."""
_COUNT = re.compile(r'(?<!_uid": )(?<![\w.:-])([1-9]\d{3,5})(?![\w.:-])')
"""Ports and process ids: numbers of four to six digits that stand alone, except those that name a class of OCSF."""


def run() -> list[Measurement]:
    """Measure one format after the other."""
    return list(_rows())


def _rows() -> Iterator[Measurement]:
    """Yield records per CPU second that are parsed, detected and normalised, the least disturbed of some rounds."""
    formats = Formats()
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for name in ALL:
        folders[name.partition("/")[0]].append(name)
    for format_id, names in sorted(folders.items()):
        lines = varied(names, RECORDS, random.Random(SEED))
        yield Measurement(
            name=f"formats.{format_id}.normalised",
            value=_rate(partial(normalise_all, lines, formats), len(lines)),
            unit="records/s",
            better="higher",
            peer="orjson, parsing only",
            peer_value=_rate(partial(_parse_all, lines), len(lines)),
        )


def varied(names: list[str], records: int, chance: random.Random) -> list[bytes]:
    """Return lines that repeat fixtures with other addresses, users, hosts, ports and ids, as one network has them.

    Args:
        names: Fixtures, each as often as the others.
        records: How many lines.
        chance: Source of all that varies.
    """
    texts = [json.dumps(document(name)) for name in names]
    lines = []
    for number in range(records):
        text = _ADDRESS.sub(lambda found: f"{found[1]}.{chance.randrange(1, _NETWORK)}", texts[number % len(texts)])
        text = _NAME.sub(lambda found: f"{found[1]}{chance.randrange(100)}", text)
        text = _COUNT.sub(lambda _: str(chance.randrange(1_024, 65_536)), text)
        lines.append(orjson.dumps(orjson.loads(text)))
    chance.shuffle(lines)
    return lines


def normalise_all(lines: list[bytes], formats: Formats) -> int:
    """Parse, detect and normalise every line; return how many were alerts.

    Raises:
        AssertionError: a line was not recognised.
    """
    hint: str | None = None
    alerts = 0
    for line in lines:
        record: dict[str, Any] = orjson.loads(line)
        chosen = formats.detect(record, hint=hint)
        if chosen is None:
            raise AssertionError("a varied fixture was not recognised")
        hint = chosen.id
        if chosen.context(record) is None:
            try:
                chosen.normalise(record, id=_ALERT_ID)
            except RecordRejected:
                continue
            alerts += 1
    return alerts


def _parse_all(lines: list[bytes]) -> None:
    for line in lines:
        orjson.loads(line)


def _rate(work: Callable[[], object], records: int) -> float:
    rates = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        rates.append(records / (time.process_time() - begin))
    return round(max(rates))


if __name__ == "__main__":
    for result in run():
        print(result)
