"""Suricata EVE from bytes to alerts on one core: reading, detecting and normalising, without storing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any
from uuid import UUID

import orjson

from aurora.ingest.formats.registry import Formats
from aurora.ingest.reading import RawRecord, Source, read
from aurora.kernel.ids import AlertId

RECORDS = 20_000
ROUNDS = 5
RULES = 200
ALERT_ID = AlertId(UUID(int=1))

MIX = (("flow", 45), ("dns", 25), ("tls", 10), ("http", 8), ("alert", 10), ("fileinfo", 2))
"""Kinds of records with their share in percent: a sensor at an office uplink with a full rule set."""

Make = Callable[[random.Random], dict[str, Any]]


def alert(draw: random.Random) -> dict[str, Any]:
    """Return an invented alert on a HTTP request; 700 to 750 bytes of JSON."""
    rule = draw.randrange(RULES)
    return _packet(draw, "alert") | {
        "alert": {
            "action": "allowed",
            "gid": 1,
            "signature_id": 9_000_000 + rule,
            "rev": 1,
            "signature": f"LAB WEB_SERVER invented request number {rule}",
            "category": "Web Application Attack",
            "severity": 1 + rule % 3,
            "metadata": {"signature_severity": ["Major"]},
        },
        "app_proto": "http",
        "direction": "to_server",
        "http": {
            "hostname": f"www{draw.randrange(100)}.example.com",
            "url": f"/item/{draw.randrange(5_000)}",
            "http_user_agent": "lab-client/1.0 (X11; Linux x86_64)",
            "http_method": "GET",
            "protocol": "HTTP/1.1",
            "status": 200,
            "length": 512,
        },
        "flow": {
            "pkts_toserver": 4,
            "pkts_toclient": 4,
            "bytes_toserver": 437,
            "bytes_toclient": 581,
            "start": "2026-11-20T08:00:00.000000+0000",
        },
    }


def context(kind: str) -> Make:
    """Return what makes records of an event type that is no alert."""
    bodies: dict[str, Any] = {
        "flow": {
            "pkts_toserver": 4,
            "pkts_toclient": 4,
            "bytes_toserver": 437,
            "bytes_toclient": 581,
            "age": 3,
            "start": "2026-11-20T08:00:00.000000+0000",
            "state": "closed",
            "reason": "timeout",
        },
        "dns": {"version": 2, "type": "query", "id": 7, "rrname": "www.example.com", "rrtype": "A", "tx_id": 0},
        "tls": {"sni": "www.example.com", "version": "TLS 1.3", "ja3": {"hash": "0" * 32}},
        "http": {"hostname": "www.example.com", "url": "/", "http_method": "GET", "status": 200, "length": 512},
        "fileinfo": {"filename": "/a", "state": "CLOSED", "size": 12, "tx_id": 0},
    }
    return lambda draw: _packet(draw, kind) | {kind: bodies[kind]}


def eve(draw: random.Random, *, mixed: bool) -> bytes:
    """Return `RECORDS` lines of EVE: alerts only, or the mix."""
    kinds = [kind for kind, _ in MIX] if mixed else ["alert"]
    shares = [share for _, share in MIX] if mixed else [100]
    makers = {kind: alert if kind == "alert" else context(kind) for kind in kinds}
    return b"".join(orjson.dumps(makers[kind](draw)) + b"\n" for kind in draw.choices(kinds, shares, k=RECORDS))


def normalise_all(data: bytes, formats: Formats) -> int:
    """Read, detect and normalise everything; return the number of records."""
    hint: str | None = None
    seen = 0
    for item in _records(data):
        chosen = formats.detect(item.document, hint=hint)
        if chosen is None:
            raise AssertionError("a generated record was not recognised")
        hint = chosen.id
        if chosen.context(item.document) is None:
            chosen.normalise(item.document, id=ALERT_ID)
        seen += 1
    return seen


def run() -> list[dict[str, Any]]:
    """Return records per CPU second, the least disturbed of several rounds; the peer only parses the JSON."""
    formats = Formats()
    results = []
    for name, mixed in (("mix", True), ("alerts", False)):
        data = eve(random.Random(20261120), mixed=mixed)
        results.append(
            {
                "name": f"ingest.suricata.{name}.normalised",
                "value": _rate(partial(normalise_all, data, formats)),
                "unit": "records/s",
                "better": "higher",
                "peer": "orjson, parsing only",
                "peer_value": _rate(partial(_parse_all, data)),
            }
        )
    return results


def _packet(draw: random.Random, kind: str) -> dict[str, Any]:
    return {
        "timestamp": f"2026-11-20T08:{draw.randrange(60):02}:{draw.randrange(60):02}.{draw.randrange(10**6):06}+0000",
        "flow_id": draw.getrandbits(50),
        "in_iface": "eth1",
        "event_type": kind,
        "src_ip": f"10.0.{draw.randrange(2)}.{draw.randrange(1, 255)}",
        "src_port": draw.randrange(1_024, 65_536),
        "dest_ip": f"198.51.100.{draw.randrange(1, 255)}",
        "dest_port": 80,
        "proto": "TCP",
        "pkt_src": "wire/pcap",
    }


def _records(data: bytes) -> Iterator[RawRecord]:
    for item in read(Source(name="bench", size_bytes=len(data), stream=BytesIO(data))):
        if not isinstance(item, RawRecord):
            raise TypeError("a generated record was rejected")
        yield item


def _parse_all(data: bytes) -> int:
    return sum(1 for line in data.splitlines() if orjson.loads(line))


def _rate(work: Callable[[], int]) -> float:
    rates = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        seen = work()
        rates.append(seen / (time.process_time() - begin))
    return round(max(rates))


if __name__ == "__main__":
    for result in run():
        print(result)
