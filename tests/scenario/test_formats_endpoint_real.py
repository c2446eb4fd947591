"""Wazuh and Falco on real records, where the open data set is at hand (`OPEN_DATA`, or `../shared/data/open`)."""

from __future__ import annotations

import csv
import lzma
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
import pytest

from aurora.ingest.formats.registry import Formats
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, Severity
from tests.scenario.open_data import open_data

ALERT_ID = AlertId(UUID(int=1))
STREAMS = ("ait_russellmitchell", "ait_shaw", "ait_wardbeck")
SAMPLE = 3_000
"""Rows of each stream, spread over it."""


def _records(name: str) -> list[dict[str, Any]]:
    with lzma.open(open_data(f"alerts/{name}.jsonl.xz")) as lines:
        return [orjson.loads(line) for line in lines]


def _normalised(name: str) -> list[Alert]:
    formats = Formats()
    return [formats.by_id(name).normalise(record, id=ALERT_ID) for record in _records(name)]


def _stream(name: str) -> Iterator[dict[str, str]]:
    with lzma.open(open_data(f"alert_streams/{name}.csv.xz"), "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if not row["name"].startswith("AMiner")]
    yield from islice(rows, 0, None, max(1, len(rows) // SAMPLE))


def _as_wazuh(row: dict[str, str]) -> dict[str, Any]:
    """Return a row in the shape in which Wazuh writes it; the streams keep only name, host and time."""
    product, _, name = row["name"].partition(": ")
    record: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(int(row["time"]), UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "rule": {"level": 3, "description": name, "id": "1", "groups": ["syslog"]},
        "agent": {"id": "001", "name": row["host"], "ip": row["ip"]},
        "manager": {"name": "wazuh"},
        "decoder": {"name": "json"},
        "location": "/var/log/syslog",
    }
    if product == "Suricata":
        signature = name.removeprefix("Alert - ")
        record["rule"] |= {"id": "86601", "description": row["name"]}
        record["data"] = {
            "event_type": "alert",
            "src_ip": row["ip"],
            "alert": {"signature": signature, "signature_id": str(sum(map(ord, signature))), "gid": "1"},
        }
    return record


@pytest.mark.parametrize("name", ["wazuh", "falco"])
def test_every_record_is_of_its_own_format_and_of_no_other(name: str) -> None:
    formats = Formats()

    matching = Counter(tuple(each.id for each in formats if each.matches(record)) for record in _records(name))

    assert matching == {(name,): 2}


@pytest.mark.parametrize("name", ["wazuh", "falco"])
def test_nothing_real_is_left_unread_and_every_alert_has_a_time_and_a_host(name: str) -> None:
    for alert in _normalised(name):
        assert not list(alert.named("aurora.unread", "aurora.time_unreadable", "threat.technique.unmapped"))
        assert alert.time is not None
        assert any(entity.type.value == "host" for entity in alert.entities)


def test_the_old_record_of_wazuh_is_read_to_its_command() -> None:
    sysmon, sudo = _normalised("wazuh")

    assert sysmon.mitre_techniques == ("T1574.010",)
    assert sysmon.severity is sudo.severity is Severity.INFO
    assert sudo.time == datetime(2017, 1, 5, 14, 11, 21, tzinfo=UTC)
    assert [str.__str__(field.value) for _, field in sudo.named("process.command_line")] == ["/bin/cat"]


@pytest.mark.parametrize("name", STREAMS)
def test_names_hosts_and_times_of_a_test_bed_are_read_in_the_shape_of_wazuh(name: str) -> None:
    formats = Formats()
    rows = list(_stream(name))

    alerts = [formats.by_id("wazuh").normalise(_as_wazuh(row), id=ALERT_ID) for row in rows]

    assert len(rows) >= SAMPLE
    for row, alert in zip(rows, alerts, strict=True):
        assert alert.time is not None
        assert alert.time.timestamp() == int(row["time"])
        assert ("host", row["host"].lower()) in {(each.type.value, each.value) for each in alert.entities}
        assert next(field for _, field in alert.named("host.ip")).value == row["ip"]


@pytest.mark.parametrize("name", STREAMS)
def test_the_names_of_real_rules_quote_nothing_and_a_signature_is_one_rule(name: str) -> None:
    formats = Formats()
    names: dict[str, set[str]] = {}

    for row in _stream(name):
        alert = formats.by_id("wazuh").normalise(_as_wazuh(row), id=ALERT_ID)
        said = [field for _, field in alert.named("rule.name")]
        assert all(field.provenance is Provenance.SENSOR for field in said), row["name"]
        if row["name"].startswith("Suricata"):
            names.setdefault(row["name"], set()).add(alert.rule)

    assert names
    assert all(len(rules) == 1 for rules in names.values())
