"""Suricata EVE."""

from __future__ import annotations

import pytest

from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance


def test_the_rule_is_generator_and_signature_and_not_the_revision() -> None:
    first = alert("suricata/blocked_by_ips")
    second = alert("suricata/blocked_by_ips", alert=document("suricata/blocked_by_ips")["alert"] | {"rev": 7})

    assert (first.rule, second.rule) == ("3:21", "3:21")
    assert field(first, "event.action") == ["blocked"]


@pytest.mark.parametrize(
    ("number", "stated", "expected"),
    [
        (1, None, Severity.HIGH),
        (2, None, Severity.MEDIUM),
        (3, None, Severity.LOW),
        (4, None, Severity.INFO),
        (255, None, Severity.INFO),
        (3, "Critical", Severity.CRITICAL),
        (1, "Informational", Severity.INFO),
        (0, None, Severity.MEDIUM),
        (True, None, Severity.MEDIUM),
        (2, "Sideways", Severity.MEDIUM),
    ],
)
def test_what_the_rule_says_of_its_severity_wins_over_its_class(
    number: int, stated: str | None, expected: Severity
) -> None:
    said = document("suricata/minimal")["alert"] | {"severity": number}
    if stated:
        said["metadata"] = {"signature_severity": [stated]}

    assert alert("suricata/minimal", alert=said).severity is expected


def test_the_target_keyword_gives_the_roles() -> None:
    roles = {
        name: {entity.value: entity.role for entity in alert(f"suricata/{name}").entities}
        for name in ("http_request", "target_is_destination", "target_is_source")
    }

    assert roles["http_request"] == {"192.0.2.10": "source", "198.51.100.20": "destination"}
    assert roles["target_is_destination"] == {"192.0.2.10": "source", "198.51.100.20": "target"}
    assert roles["target_is_source"] == {"192.0.2.10": "target", "198.51.100.20": "source"}


def test_techniques_are_those_of_the_current_version_and_the_rest_is_kept() -> None:
    normalised = alert("suricata/revoked_technique")

    assert normalised.mitre_techniques == ("T1685.005",)
    assert field(normalised, "threat.technique.unmapped") == ["T9999"]


def test_the_signature_is_the_engines_and_what_it_quotes_is_not() -> None:
    normalised = alert("suricata/http_request")

    assert provenance(normalised, "rule.name") is Provenance.SENSOR
    assert provenance(normalised, "source.ip") is Provenance.SENSOR
    for name in ("url.full", "url.domain", "user_agent.original", "http.request.method", "file.name"):
        assert provenance(normalised, name) is Provenance.ATTACKER_WRITABLE, name


def test_the_url_is_whole_and_an_address_as_host_is_no_domain() -> None:
    named, numbered = alert("suricata/http_request"), alert("suricata/payload_and_bodies")

    assert field(named, "url.full") == ["http://shop.example.com:8080/upload.php?a=1"]
    assert not any(kind == "domain" for kind, _ in observables(numbered))
    assert ("url", "http://198.51.100.20/shell?c=id") in observables(numbered)


def test_a_url_that_the_parser_made_up_is_left_out() -> None:
    assert field(alert("suricata/request_uri_not_seen"), "url.full") == []


@pytest.mark.parametrize("name", ["dns_version_1", "dns_version_2"])
def test_every_version_of_the_dns_object_gives_the_name(name: str) -> None:
    assert ("domain", "beacon.example.net") in observables(alert(f"suricata/{name}"))


def test_a_reverse_lookup_is_no_observable_but_a_field() -> None:
    normalised = alert("suricata/dns_version_3_reverse")

    assert field(normalised, "dns.question.name") == ["10.2.0.192.in-addr.arpa"]
    assert {kind for kind, _ in observables(normalised)} == {"ip"}


def test_people_and_files_of_the_transaction_are_entities() -> None:
    assert {("user", "lab\\kim"), ("file", "temp\\setup.exe")} <= entities(alert("suricata/smb_ntlm"))
    assert ("user", "lab.example\\svc-lab") in entities(alert("suricata/kerberos"))
    assert {("mailbox", "kim@example.com"), ("mailbox", "lee@example.com")} <= entities(alert("suricata/smtp_email"))


def test_the_path_of_a_url_is_no_file_entity() -> None:
    assert not any(kind == "file" for kind, _ in entities(alert("suricata/http_request")))


def test_entities_are_the_same_in_the_next_occurrence() -> None:
    first = alert("suricata/http_request")
    second = alert("suricata/http_request", flow_id=2, src_port=50999, timestamp="2026-11-21T08:15:00.000000+0000")

    assert entities(first) == entities(second)
    assert (first.rule, observables(first)) == (second.rule, observables(second))


def test_a_cve_is_found_in_name_and_metadata_once() -> None:
    normalised = alert("suricata/rule_metadata")

    assert [value for kind, value in observables(normalised) if kind == "cve"] == ["CVE-2026-12345"]
    assert normalised.severity is Severity.CRITICAL
    assert field(normalised, "threat.tactic.name") == ["Initial Access"]


def test_addresses_are_compressed() -> None:
    assert ("address", "2001:db8::1") in entities(alert("suricata/ipv6_icmp"))


def test_a_broken_clock_costs_the_time_and_not_the_alert() -> None:
    normalised = alert("suricata/broken_clock")

    assert normalised.time is None
    assert field(normalised, "aurora.time_unreadable") == ["0000-00-00T00:00:00"]


def test_what_has_an_odd_type_is_named_and_the_rest_is_read() -> None:
    normalised = alert("suricata/odd_types")

    assert field(normalised, "aurora.unread") == ["alert.severity, alert.metadata.signature_severity, http"]
    assert field(normalised, "source.port") == ["50123"]
    assert field(normalised, "rule.tag") == ["LabTag"]


def test_a_rule_without_a_name_is_called_by_its_number() -> None:
    assert alert("suricata/nameless_rule").title == "Suricata rule 1:9000020"


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (None, "alert"),
        ("text", "alert"),
        ({}, "alert.signature_id"),
        ({"signature": " "}, "alert.signature_id"),
    ],
)
def test_without_a_rule_there_is_no_alert(said: object, where: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert("suricata/minimal", alert=said)

    assert refused.value.field == where
    assert refused.value.reason == "missing_field"
