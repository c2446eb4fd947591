"""CrowdStrike Falcon."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        (10, "Critical", Severity.CRITICAL),
        (90, "informational", Severity.INFO),
        (90, None, Severity.CRITICAL),
        (80, None, Severity.CRITICAL),
        (70, None, Severity.HIGH),
        (50, "Sideways", Severity.MEDIUM),
        (30, None, Severity.LOW),
        (10, None, Severity.INFO),
        ("70", None, Severity.HIGH),
        (None, None, Severity.MEDIUM),
    ],
)
def test_the_name_of_the_severity_wins_over_its_number(number: object, name: str | None, expected: Severity) -> None:
    assert alert("crowdstrike/minimal", severity=number, severity_name=name).severity is expected


def test_old_events_count_severity_to_five_and_new_ones_to_a_hundred() -> None:
    new = document("crowdstrike/stream_epp")["event"] | {"Severity": 4, "SeverityName": None}

    assert alert("crowdstrike/stream_detection_number_of_five").severity is Severity.LOW
    assert alert("crowdstrike/stream_epp", event=new).severity is Severity.INFO


def test_the_sensor_vouches_for_image_and_account_and_not_for_command_lines() -> None:
    normalised = alert("crowdstrike/alert_endpoint")

    for name in ("rule.name", "process.executable", "user.name", "file.hash.sha256", "host.name"):
        assert provenance(normalised, name) is Provenance.SENSOR, name
    for name in ("process.command_line", "process.parent.command_line", "event.reason"):
        assert provenance(normalised, name) is Provenance.ATTACKER_WRITABLE, name


def test_machine_and_account_are_named_with_their_domain() -> None:
    assert {("host", "ws01.lab.example"), ("user", "lab\\kim")} <= entities(alert("crowdstrike/alert_endpoint"))
    assert {("host", "web01.example.com"), ("user", "www-data")} <= entities(alert("crowdstrike/alert_linux"))


def test_what_falcon_prevented_is_blocked_and_what_it_only_saw_is_not() -> None:
    assert field(alert("crowdstrike/alert_endpoint"), "event.action") == ["blocked"]
    assert field(alert("crowdstrike/alert_detection_only"), "event.action") == ["allowed"]
    assert field(alert("crowdstrike/alert_siem"), "event.action") == []


def test_techniques_of_attack_are_taken_over_and_those_of_falcon_stay_fields() -> None:
    assert alert("crowdstrike/alert_endpoint").mitre_techniques == ("T1059.001",)
    assert alert("crowdstrike/alert_overwatch").mitre_techniques == ("T1003.001", "T1021.002", "T1059.001")
    assert alert("crowdstrike/detection_old_technique").mitre_techniques == ("T1059.001",)
    own = alert("crowdstrike/alert_own_technique")
    assert own.mitre_techniques == ()
    assert field(own, "threat.technique.unmapped") == ["CST0008"]


def test_connections_say_which_way_they_went() -> None:
    normalised = alert("crowdstrike/alert_network_and_files")

    assert field(normalised, "destination.ip") == ["198.51.100.20"]
    assert field(normalised, "source.ip") == ["10.0.0.5"]
    assert {("ip", "198.51.100.20"), ("domain", "c2.example.net")} <= observables(normalised)
    assert provenance(normalised, "dns.question.name") is Provenance.ATTACKER_WRITABLE
    assert ("file", "\\device\\harddiskvolume3\\users\\kim\\appdata\\local\\temp\\lab.dll") in entities(normalised)


def test_an_indicator_is_an_observable_of_its_type() -> None:
    normalised = alert("crowdstrike/alert_indicator_domain")

    assert {("domain", "c2.example.net"), ("hash_sha256", "d" * 64)} <= observables(normalised)


def test_identity_protection_knows_accounts_from_the_directory() -> None:
    normalised, by_upn = alert("crowdstrike/alert_identity"), alert("crowdstrike/alert_identity_upn")

    assert normalised.product == "CrowdStrike Falcon Identity Protection"
    assert {("user", "kim@lab.example"), ("user", "svc-lab"), ("host", "srv01.lab.example")} <= entities(normalised)
    assert provenance(normalised, "user.name") is Provenance.IDENTITY_SERVER
    assert {("user", "kim@lab.example"), ("address", "2001:db8::21")} <= entities(by_upn)


def test_the_rule_of_several_behaviours_is_that_of_the_most_severe() -> None:
    normalised = alert("crowdstrike/detection_several_behaviours")

    assert (normalised.title, normalised.rule) == ("LabCredentials", "10305")
    assert normalised.severity is Severity.CRITICAL
    assert normalised.mitre_techniques == ("T1003.001", "T1059.003")
    assert {("hash_sha256", "e" * 64), ("hash_sha256", "2" * 64)} <= observables(normalised)


def test_rules_of_the_customer_are_told_apart() -> None:
    first, second = alert("crowdstrike/alert_custom_rule"), alert("crowdstrike/alert_custom_rule", rule_instance_id="8")

    assert (first.rule, second.rule) == ("41004/7", "41004/8")


def test_an_alert_without_a_name_is_called_by_tactic_and_technique() -> None:
    assert alert("crowdstrike/alert_only_technique").title == "Execution via PowerShell"


def test_events_of_the_stream_and_of_the_replicator_are_the_same_alert() -> None:
    stream, replicated = alert("crowdstrike/stream_epp"), alert("crowdstrike/replicated_detection")

    assert (stream.rule, entities(stream), observables(stream)) == (
        replicated.rule,
        entities(replicated),
        observables(replicated),
    )
    assert stream.fields[0].path == "/event/Name"


def test_folder_and_name_of_an_old_event_make_one_path() -> None:
    normalised = alert("crowdstrike/stream_detection")

    assert field(normalised, "process.executable") == ["\\Device\\HarddiskVolume1\\Users\\kim\\Downloads\\lab.exe"]


def test_what_falcon_does_not_know_is_left_out() -> None:
    assert field(alert("crowdstrike/stream_detection_number_of_five"), "user.name") == []


def test_the_time_is_when_it_began() -> None:
    assert alert("crowdstrike/alert_endpoint").time == datetime(2026, 11, 20, 8, 15, 0, 123_000, tzinfo=UTC)
    assert alert("crowdstrike/stream_detection").time == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    unreadable = alert("crowdstrike/time_unreadable")
    assert unreadable.time is None
    assert field(unreadable, "aurora.time_unreadable") == ["long ago", "0000-00-00"]


def test_a_resolution_is_what_a_person_thought() -> None:
    assert provenance(alert("crowdstrike/alert_resolved"), "event.classification") is Provenance.HUMAN


def test_what_has_an_odd_type_is_named_and_the_rest_is_read() -> None:
    normalised = alert("crowdstrike/detection_odd_types")

    assert field(normalised, "aurora.unread") == ["behaviors.0, max_severity, behaviors.1.parent_details"]
    assert normalised.rule == "10304"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("context_incident", "IncidentSummaryEvent"),
        ("context_user_activity", "UserActivityAuditEvent"),
        ("context_sensor_process", "ProcessRollup2"),
        ("context_sensor_dns", "DnsRequest"),
    ],
)
def test_what_is_no_detection_is_context_of_its_type(name: str, kind: str) -> None:
    assert Formats().by_id("crowdstrike").context(document(f"crowdstrike/{name}")) == kind


@pytest.mark.parametrize("kind", ["x" * 65, "\x1b[31m", 7, None])
def test_a_type_that_is_no_word_is_an_event(kind: object) -> None:
    record: dict[str, Any] = {"metadata": {"eventType": kind, "offset": 1}, "event": {}}

    assert Formats().by_id("crowdstrike").context(record) == "event"


@pytest.mark.parametrize(
    ("record", "where"),
    [
        ({"composite_id": "x", "cid": "0"}, "display_name"),
        ({"metadata": {"eventType": "EppDetectionSummaryEvent"}, "event": {"Severity": 3}}, "event.display_name"),
    ],
)
def test_without_name_technique_or_pattern_there_is_no_alert(record: dict[str, Any], where: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        Formats().by_id("crowdstrike").normalise(record, id=alert("crowdstrike/minimal").id)

    assert (refused.value.reason, refused.value.field) == ("missing_field", where)
