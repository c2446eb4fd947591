"""Aurora's own JSON: strict, and its errors teach."""

from __future__ import annotations

from typing import Any

import pytest

from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import AlertStatus, Severity
from tests.unit.ingest.alert_fixtures import ALERT_ID, ALL, alert, document, entities, field, observables, provenance

ALERTS = [name for name in ALL if "/context_" not in name]


@pytest.mark.parametrize(
    ("change", "where", "lesson"),
    [
        ({"severity": "urgent"}, "severity", "critical, high, medium, low, info"),
        ({"severity": None}, "severity", "critical, high, medium, low, info"),
        ({"severity": 3}, "severity", "critical, high, medium, low, info"),
        ({"title": "  "}, "title", "what was detected"),
        ({"title": ["x"]}, "title", "text"),
        ({"source": ""}, "source", "suricata, edr, mail"),
        ({"time": "yesterday"}, "time", "2026-11-20T08:15:00Z"),
        ({"time": {"$date": 1}}, "time", "2026-11-20T08:15:00Z"),
        ({"severty": "low"}, "severty", "did you mean severity"),
        ({"payload_size": 3}, "payload_size", "put it into fields"),
        ({"src_ip": "10.0.0.300"}, "src_ip", "an IP address"),
        ({"url": "not a url"}, "url", "a value of the type url"),
        ({"sha256": "abc"}, "sha256", "a value of the type hash_sha256"),
        ({"iocs": ["free text it is"]}, "iocs.0", "type and value"),
        ({"iocs": {"a": 1}}, "iocs", "a list"),
        ({"iocs": [{"type": "smell", "value": "x"}]}, "iocs.0.type", "ip, domain, url"),
        ({"iocs": [{"type": "ip", "value": "x"}]}, "iocs.0.value", "a value of the type ip"),
        ({"entities": ["ws-7"]}, "entities.0", "type and value"),
        ({"entities": [{"type": "ghost", "value": "x"}]}, "entities.0.type", "host, user, address"),
        ({"entities": [{"type": "host", "value": " "}]}, "entities.0.value", "name, address or path"),
        ({"mitre_techniques": ["mimikatz"]}, "mitre_techniques.0", "T1059.001"),
        ({"fields": {"process.command_line": ["a", "b"]}}, "fields.process.command_line", "text"),
        ({"fields": {"no spaces": "x"}}, "fields.no spaces", "process.command_line"),
        ({"fields": [{"name": "a", "value": "b", "provenance": "god"}]}, "fields.0.provenance", "sensor"),
        ({"fields": 7}, "fields", "a list"),
        ({"host": {"name": "ws-7"}}, "host", "text"),
    ],
)
def test_a_fault_is_named_and_the_message_says_what_belongs_there(
    change: dict[str, Any], where: str, lesson: str
) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert("aurora/minimal", **change)

    assert refused.value.field == where
    assert lesson in refused.value.message


@pytest.mark.parametrize("lacking", ["title", "severity", "source"])
def test_a_required_key_that_is_missing_is_named(lacking: str) -> None:
    record = document("aurora/minimal")
    del record[lacking]

    with pytest.raises(RecordRejected) as refused:
        Formats().by_id("aurora").normalise(record, id=ALERT_ID)

    assert (refused.value.field, refused.value.reason) == (lacking, "missing_field")


def test_a_forgotten_severity_is_still_recognised_so_that_the_error_can_teach() -> None:
    found = Formats().detect({"title": "x", "host": "ws-7", "_note": "mine"})

    assert found is not None
    assert found.id == "aurora"


@pytest.mark.parametrize("name", ALERTS)
def test_what_aurora_writes_of_any_format_is_read_back_as_the_same_alert(name: str) -> None:
    once = alert(name)
    aurora = Formats().by_id("aurora")

    again = aurora.normalise(once.model_dump(mode="json"), id=ALERT_ID)

    for key in (
        "title",
        "severity",
        "source",
        "product",
        "rule",
        "time",
        "entities",
        "observables",
        "mitre_techniques",
        "description",
    ):
        assert getattr(again, key) == getattr(once, key), key
    assert [(each.name, each.value) for each in again.fields][: len(once.fields)] == [
        (each.name, each.value) for each in once.fields
    ]
    assert aurora.normalise(again.model_dump(mode="json"), id=ALERT_ID) == again


def test_an_alert_that_is_read_again_is_a_new_one() -> None:
    once = alert("suricata/minimal").model_copy(update={"status": AlertStatus.RESOLVED})

    again = Formats().by_id("aurora").normalise(once.model_dump(mode="json"), id=ALERT_ID)

    assert (again.status, again.format) == (AlertStatus.NEW, "aurora")


def test_a_file_cannot_prove_that_a_person_said_something() -> None:
    assert provenance(alert("aurora/claims_to_be_a_person"), "event.reason") is Provenance.AGENT_DERIVED


def test_a_field_without_a_provenance_is_the_attackers() -> None:
    normalised = alert("aurora/fields_by_name")

    assert provenance(normalised, "network.bytes") is Provenance.ATTACKER_WRITABLE
    assert field(normalised, "network.bytes") == ["512"]


def test_the_plain_keys_become_entities_and_observables() -> None:
    assert {("host", "ws-7.corp.example"), ("user", "corp\\kim")} <= entities(alert("aurora/host_and_process"))
    assert {("ip", "203.0.113.8"), ("domain", "c2.example.net")} <= observables(alert("aurora/network"))
    assert ("file_path", "c:\\users\\kim\\downloads\\evil.exe") in observables(alert("aurora/hashes_and_file"))


def test_techniques_of_older_versions_are_mapped() -> None:
    assert alert("aurora/tactics_and_old_techniques").mitre_techniques == ("T1059", "T1574.001", "T1685")


def test_the_severity_may_be_written_in_any_case() -> None:
    assert alert("aurora/severity_in_capitals").severity is Severity.CRITICAL
    assert alert("aurora/severity_informational").severity is Severity.INFO


def test_notes_of_the_writer_are_never_read() -> None:
    assert alert("aurora/notes_of_the_writer") == alert("aurora/minimal")


def test_the_example_of_the_documentation_is_valid() -> None:
    import json

    from aurora.ingest.formats import aurora as module

    text = module.__doc__ or ""
    example = json.loads(text[text.index("    {") : text.index("}\n") + 1])

    normalised = Formats().by_id("aurora").normalise(example, id=ALERT_ID)

    assert normalised.mitre_techniques == ("T1059.001",)
