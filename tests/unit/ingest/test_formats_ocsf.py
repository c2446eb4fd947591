"""OCSF: detection findings of every version, as products and as Amazon's services write them."""

from __future__ import annotations

from typing import Any

import pytest

from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance


@pytest.mark.parametrize(
    ("number", "word", "expected"),
    [
        (1, "Informational", Severity.INFO),
        (2, None, Severity.LOW),
        (3, "Critical", Severity.MEDIUM),
        (4, "", Severity.HIGH),
        (5, "x", Severity.CRITICAL),
        (6, "Fatal", Severity.CRITICAL),
        ("4", "High", Severity.HIGH),
        (4.0, "High", Severity.HIGH),
        (0, "Unknown", Severity.MEDIUM),
        (99, "Low", Severity.LOW),
        (None, "critical", Severity.CRITICAL),
        (None, None, Severity.MEDIUM),
        (True, None, Severity.MEDIUM),
    ],
)
def test_the_id_of_the_severity_wins_over_its_word(number: object, word: object, expected: Severity) -> None:
    assert alert("ocsf/minimal", severity_id=number, severity=word).severity is expected


@pytest.mark.parametrize(
    ("finding", "rule"),
    [
        ({"title": "T", "analytic": {"uid": "r-1", "name": "R"}, "types": ["A/B"]}, "r-1"),
        ({"title": "T on host 7", "types": ["Recon:EC2/PortProbe"]}, "Recon:EC2/PortProbe"),
        ({"title": "T", "types": ["TTPs/Discovery"]}, "TTPs/Discovery/T"),
        ({"title": "T", "analytic": {"name": "R"}}, "R"),
        ({"title": "T"}, "T"),
        ({"types": ["A/B"]}, "A/B/A/B"),
    ],
)
def test_the_rule_is_what_stays_the_same_in_findings_of_one_detection(finding: dict[str, Any], rule: str) -> None:
    assert alert("ocsf/minimal", finding_info=finding).rule == rule


def test_process_parent_user_and_host_of_the_evidence_are_told_apart() -> None:
    normalised = alert("ocsf/endpoint_process")

    assert field(normalised, "process.command_line") == ["powershell -enc SQBFAFgA"]
    assert field(normalised, "process.parent.command_line") == ["winword.exe /n invoice.docm"]
    assert ("host", "ws-17.corp.example") in entities(normalised)
    assert ("user", "lab\\kim") in entities(normalised)
    assert ("hash_sha256", "00112233445566778899aabbccddeeff" * 2) in observables(normalised)
    assert normalised.mitre_techniques == ("T1059.001",)


def test_who_wrote_a_value_depends_on_what_it_is() -> None:
    normalised = alert("ocsf/endpoint_process")

    assert provenance(normalised, "process.executable") is Provenance.SENSOR
    assert provenance(normalised, "process.command_line") is Provenance.ATTACKER_WRITABLE
    assert provenance(normalised, "user.name") is Provenance.IDENTITY_SERVER
    assert provenance(alert("ocsf/version_1_3_user_and_job"), "user.name") is Provenance.ATTACKER_WRITABLE
    assert provenance(alert("ocsf/dns_query"), "dns.question.name") is Provenance.ATTACKER_WRITABLE


def test_ends_of_a_connection_have_their_roles_and_what_the_control_did_is_told() -> None:
    normalised = alert("ocsf/network_blocked")

    assert {each.value: each.role for each in normalised.entities} == {
        "192.0.2.17": "source",
        "198.51.100.20": "destination",
    }
    assert field(normalised, "event.action") == ["blocked"]
    assert field(normalised, "event.outcome") == ["denied"]


def test_listed_observables_are_typed_by_their_id() -> None:
    normalised = alert("ocsf/observables_only")

    assert observables(normalised) == {
        ("ip", "198.51.100.20"),
        ("domain", "c2.example.net"),
        ("url", "http://files.example.net/a"),
        ("hash_md5", "00112233445566778899aabbccddeeff"),
        ("email", "kim@example.com"),
        ("file_path", "c:\\temp\\setup.exe"),
        ("user_agent", "lab-client/1.0"),
        ("cve", "CVE-2026-12345"),
    }
    assert {("user", "kim"), ("file", "setup.exe"), ("process", "setup.exe")} <= entities(normalised)


def test_a_finding_of_security_hub_names_the_service_that_found_it() -> None:
    normalised = alert("ocsf/aws_guardduty_in_security_hub")

    assert normalised.product == "Amazon GuardDuty"
    assert normalised.rule == "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
    assert ("host", "i-0lab") in entities(normalised)
    assert field(normalised, "cloud.account.id") == ["111122223333"]


def test_the_findings_before_version_1_1_are_read_too() -> None:
    normalised = alert("ocsf/security_lake_security_finding")

    assert normalised.title == "Port 22 is probed from a listed address"
    assert normalised.mitre_techniques == ("T1595",)
    assert field(normalised, "event.status") == ["new"]
    assert ("hash_sha1", "00112233445566778899aabbccddeeff00112233") in observables(normalised)


def test_numbers_as_text_are_numbers() -> None:
    normalised = alert("ocsf/security_lake_numbers_as_text")

    assert (normalised.severity, normalised.time) == (Severity.CRITICAL, alert("ocsf/minimal").time)


def test_a_verdict_is_nobodys_word_and_auroras_own_does_not_count_again() -> None:
    closed, own = alert("ocsf/closed_as_false_positive"), alert("ocsf/exported_by_aurora")

    assert field(closed, "event.classification") == ["false positive"]
    assert provenance(closed, "event.classification") is Provenance.SENSOR
    assert field(own, "event.classification") == []
    assert field(own, "aurora.verdict") == ["true positive"]


def test_techniques_are_those_of_the_current_version_and_the_rest_is_kept() -> None:
    normalised = alert("ocsf/revoked_and_unknown_techniques")

    assert normalised.mitre_techniques == ("T1105", "T1685")
    assert field(normalised, "threat.technique.unmapped") == ["T9999"]


def test_a_time_of_other_attributes_stands_in() -> None:
    expected = alert("ocsf/minimal").time

    assert alert("ocsf/minimal", time=None, time_dt="2026-11-20T08:15:00.123Z").time == expected
    assert alert("ocsf/minimal", time=0, start_time=1795162500123).time == expected
    assert alert("ocsf/time_unreadable").time is None


def test_what_has_an_odd_type_is_named_and_the_rest_is_read() -> None:
    normalised = alert("ocsf/odd_types")

    (unread,) = field(normalised, "aurora.unread")
    for path in ("metadata", "severity_id", "evidences.0", "evidences.1.process", "resources.0", "observables.0"):
        assert path in unread.split(", "), path
    assert normalised.rule == "lab-rule-17"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("context_authentication", "authentication"),
        ("context_network", "network"),
        ("context_compliance", "compliance_finding"),
        ("context_class_of_an_extension", "other"),
    ],
)
def test_the_kind_of_context_is_the_class_and_one_of_a_few(name: str, kind: str) -> None:
    assert Formats().by_id("ocsf").context(document(f"ocsf/{name}")) == kind


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"finding_info": None}, "finding_info"),
        ({"finding_info": "text"}, "finding_info"),
        ({"finding_info": {"uid": "f-1"}}, "finding_info.title"),
        ({"finding_info": {"title": " ", "types": [""]}}, "finding_info.title"),
    ],
)
def test_without_anything_that_names_it_there_is_no_alert(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert("ocsf/minimal", **changes)

    assert (refused.value.field, refused.value.reason) == (where, "missing_field")
