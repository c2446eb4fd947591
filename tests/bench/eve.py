"""Suricata EVE of our own making, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

RULES = 200

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


def lines(draw: random.Random, count: int, *, mixed: bool) -> Iterator[bytes]:
    """Yield lines of EVE, alerts only or the mix; hardly two alerts are the same."""
    kinds = [kind for kind, _ in MIX] if mixed else ["alert"]
    shares = [share for _, share in MIX] if mixed else [100]
    makers = {kind: alert if kind == "alert" else context(kind) for kind in kinds}
    return (orjson.dumps(makers[kind](draw)) + b"\n" for kind in draw.choices(kinds, shares, k=count))


def repeated(draw: random.Random, count: int, *, each: int) -> Iterator[bytes]:
    """Yield lines of alerts that occur so many times each, in any order, from ports of their own."""
    distinct = [alert(draw) for _ in range(count // each)]
    occurrences = distinct * each
    draw.shuffle(occurrences)
    return (
        orjson.dumps(one | {"src_port": draw.randrange(1_024, 65_536), "flow_id": draw.getrandbits(50)}) + b"\n"
        for one in occurrences
    )


def write(path: Path, *, size_bytes: int, mixed: bool) -> None:
    """Write at least so many bytes of EVE; the same each time."""
    draw, written = random.Random(20261120), 0
    with path.open("wb") as file:
        while written < size_bytes:
            written += file.write(b"".join(lines(draw, 10_000, mixed=mixed)))


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
