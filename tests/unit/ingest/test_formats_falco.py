"""Falco alerts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aurora.ingest.dedup import fingerprint
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        ("Emergency", Severity.CRITICAL),
        ("Alert", Severity.CRITICAL),
        ("CRITICAL", Severity.CRITICAL),
        ("Error", Severity.HIGH),
        ("warning", Severity.MEDIUM),
        ("Notice", Severity.LOW),
        ("Informational", Severity.INFO),
        ("Info", Severity.INFO),
        ("Debug", Severity.INFO),
        ("Shouting", Severity.MEDIUM),
        (None, Severity.MEDIUM),
    ],
)
def test_the_severity_follows_the_priority(priority: str | None, expected: Severity) -> None:
    normalised = alert("falco/minimal", priority=priority)

    assert normalised.severity is expected
    assert field(normalised, "aurora.unread") == (["priority"] if priority == "Shouting" else [])


def test_a_descriptor_is_a_file_or_a_connection() -> None:
    assert ("file", "/etc/shadow") in entities(alert("falco/sensitive_file"))
    connection = alert("falco/outbound_connection")
    assert {("address", "192.0.2.10"), ("address", "203.0.113.8")} <= entities(connection)
    assert field(connection, "destination.port") == ["4444"]
    assert provenance(connection, "destination.ip") is Provenance.SENSOR


def test_the_ends_of_a_connection_are_told_once() -> None:
    normalised = alert("falco/connection_v6_by_fields")

    assert field(normalised, "destination.ip") == ["2001:db8::8"]
    assert ("domain", "c2.example.net") in observables(normalised)


def test_a_connection_over_version_six_is_read_from_its_name() -> None:
    fields = {"fd.name": "2001:db8::10:50123->2001:db8::8:443"}

    normalised = alert("falco/minimal", output_fields=fields)

    assert field(normalised, "source.ip") == ["2001:db8::10"]
    assert field(normalised, "destination.ip") == ["2001:db8::8"]


@pytest.mark.parametrize("name", ["pipe_and_device", "container_escape"])
def test_pipes_devices_and_what_the_kernel_shows_are_no_files_of_anybody(name: str) -> None:
    assert not any(kind == "file" for kind, _ in entities(alert(f"falco/{name}")))


def test_tags_give_techniques_and_tactics_and_the_rest_stays_a_tag() -> None:
    normalised = alert("falco/connection_v6_by_fields")

    assert field(normalised, "threat.tactic.name") == ["Command and Control"]
    assert alert("falco/revoked_technique").mitre_techniques == ("T1547.001",)
    assert field(alert("falco/revoked_technique"), "threat.technique.unmapped") == ["T9999"]
    assert field(normalised, "rule.tag") == ["network"]


def test_what_the_kernel_says_is_the_sensors_and_names_and_text_are_not() -> None:
    normalised = alert("falco/terminal_shell")

    for name in ("process.executable", "user.name", "event.action", "host.name", "rule.name"):
        assert provenance(normalised, name) is Provenance.SENSOR, name
    for name in ("process.command_line", "process.name", "message", "container.name", "container.image.name"):
        assert provenance(normalised, name) is Provenance.ATTACKER_WRITABLE, name


def test_the_next_occurrence_has_another_container_and_process_and_is_the_same_alert() -> None:
    record = document("falco/terminal_shell")
    again = record["output_fields"] | {"container.id": "0123456789ab", "proc.pid": 9, "k8s.pod.name": "shop-5d4-x2"}

    assert fingerprint(alert("falco/terminal_shell")) == fingerprint(alert("falco/terminal_shell", output_fields=again))


def test_what_falcosidekick_passes_on_is_the_same_alert() -> None:
    assert fingerprint(alert("falco/falcosidekick")) == fingerprint(alert("falco/terminal_shell"))


@pytest.mark.parametrize("name", ["cloudtrail_login", "okta", "github", "kubernetes_audit_exec"])
def test_events_of_a_service_have_users_that_it_vouches_for_and_no_host(name: str) -> None:
    normalised = alert(f"falco/{name}")

    assert provenance(normalised, "user.name") is Provenance.IDENTITY_SERVER
    assert not any(kind == "host" for kind, _ in entities(normalised))
    assert field(normalised, "observer.name") == ["node-1"]


def test_every_image_of_a_pod_is_told() -> None:
    assert len(field(alert("falco/kubernetes_audit_pod"), "container.image.name")) == 2


def test_the_machine_outside_containers_is_no_application() -> None:
    assert not any(kind == "application" for kind, _ in entities(alert("falco/sensitive_file")))


def test_placeholders_are_no_values() -> None:
    normalised = alert("falco/placeholders")

    assert {kind for kind, _ in entities(normalised)} == {"host", "process"}
    assert field(normalised, "process.command_line") == []


def test_the_engines_own_time_stands_in() -> None:
    time = alert("falco/without_time").time

    assert time is not None
    assert time.replace(microsecond=0) == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    assert field(alert("falco/time_unreadable"), "aurora.time_unreadable") == ["soon"]


def test_lost_events_are_an_alert_that_nothing_was_blocked() -> None:
    normalised = alert("falco/event_drop")

    assert field(normalised, "event.action") == []
    assert Formats().by_id("falco").context(document("falco/context_metrics")) == "metrics"


@pytest.mark.parametrize("rule", [None, "", "  ", {"a": 1}])
def test_without_a_rule_there_is_no_alert(rule: object) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert("falco/minimal", rule=rule)

    assert (refused.value.field, refused.value.reason) == ("rule", "missing_field")
