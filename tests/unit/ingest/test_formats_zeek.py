"""Zeek: notices and hits of intelligence, in every spelling of its JSON."""

from __future__ import annotations

import pytest

from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance

SPELLINGS = ("certificate_dotted", "certificate_underscores", "certificate_nested")


def test_every_spelling_of_a_connection_is_the_same_alert() -> None:
    alerts = [alert(f"zeek/{name}") for name in SPELLINGS]

    assert len({(each.rule, each.title, each.severity, each.time) for each in alerts}) == 1
    assert all(entities(each) == {("address", "192.0.2.10"), ("address", "198.51.100.20")} for each in alerts)
    assert all(field(each, "source.port") == ["50123"] for each in alerts)
    assert all(field(each, "destination.port") == ["443"] for each in alerts)
    assert [field(each, "observer.name") for each in alerts] == [[], ["sensor.example.org"], ["sensor.example.org"]]


def test_what_is_not_set_is_missing_and_text_counts_as_its_value() -> None:
    normalised = alert("zeek/everything_as_text")

    assert not any(str.__str__(each.value) in {"-", "(empty)"} for each in normalised.fields)
    assert field(normalised, "event.action") == ["log", "email"]
    assert normalised.time == alert("zeek/certificate_dotted").time
    assert field(normalised, "aurora.unread") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("heartbleed_success", Severity.CRITICAL),
        ("ssh_login_by_guesser", Severity.HIGH),
        ("bzar_lateral_movement", Severity.HIGH),
        ("ssh_guessing", Severity.MEDIUM),
        ("minimal", Severity.MEDIUM),
        ("scan_ports", Severity.LOW),
        ("log_under_another_name", Severity.LOW),
        ("broken_clock", Severity.INFO),
        ("intel_file_hash", Severity.HIGH),
        ("intel_domain", Severity.MEDIUM),
    ],
)
def test_the_type_of_a_notice_gives_the_severity(name: str, expected: Severity) -> None:
    assert alert(f"zeek/{name}").severity is expected


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0, Severity.CRITICAL), (3, Severity.HIGH), (7, Severity.INFO), (8, Severity.MEDIUM), (True, Severity.MEDIUM)],
)
def test_a_severity_of_the_installation_wins_if_it_is_one(level: object, expected: Severity) -> None:
    assert alert("zeek/severity_of_the_installation", **{"severity.level": level}).severity is expected


def test_sentences_quote_the_attacker_and_the_rest_is_observed() -> None:
    normalised = alert("zeek/malware_hash_over_http")

    for name in ("message", "zeek.notice.sub", "url.full"):
        assert provenance(normalised, name) is Provenance.ATTACKER_WRITABLE, name
    for name in ("rule.name", "source.ip", "file.mime_type", "file.hash.sha1"):
        assert provenance(normalised, name) is Provenance.SENSOR, name


def test_a_file_is_a_url_or_a_name_and_has_the_hash_that_was_looked_up() -> None:
    over_http, over_smb = alert("zeek/malware_hash_over_http"), alert("zeek/malware_hash_over_smb")

    assert ("hash_sha1", "00112233445566778899aabbccddeeff00112233") in observables(over_http)
    assert ("url", "http://files.example.net/setup.bin?x=1") in observables(over_http)
    assert ("hash_md5", "00112233445566778899aabbccddeeff") in observables(over_smb)
    assert ("file", "tools\\setup.exe") in entities(over_smb)


def test_techniques_of_bzar_are_those_of_the_current_version() -> None:
    assert alert("zeek/bzar_lateral_movement").mitre_techniques == ("T1021.002", "T1570")
    assert alert("zeek/bzar_discovery_old_technique").mitre_techniques == ("T1685",)


def test_a_technique_in_any_other_notice_is_no_claim() -> None:
    assert alert("zeek/minimal", sub="T1021.002").mitre_techniques == ()


def test_vulnerabilities_are_found_in_the_type_and_the_words_once() -> None:
    found = [value for kind, value in sorted(observables(alert("zeek/vulnerability_in_the_name"))) if kind == "cve"]

    assert found == ["CVE-2026-12345", "CVE-2026-54321"]


def test_the_ends_of_the_connection_are_kept_beside_those_of_the_notice() -> None:
    normalised = alert("zeek/sql_injection_victim")

    assert field(normalised, "source.ip") == ["198.51.100.20"]
    assert field(normalised, "client.ip") == ["192.0.2.10"]
    assert entities(normalised) == {("address", "192.0.2.10"), ("address", "198.51.100.20")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intel_domain", ("domain", "c2.example.net")),
        ("intel_file_hash", ("hash_sha256", "00112233445566778899aabbccddeeff" * 2)),
        ("intel_address_nested", ("ip", "198.51.100.20")),
        ("intel_url_underscores", ("url", "http://files.example.net/a/b")),
        ("intel_mail", ("email", "kim@example.com")),
    ],
)
def test_a_hit_names_the_value_that_matched(name: str, expected: tuple[str, str]) -> None:
    normalised = alert(f"zeek/{name}")

    assert expected in observables(normalised)
    assert normalised.rule.startswith("Intel::")
    assert field(normalised, "threat.indicator.provider")[0] == "lab-feed"


def test_who_chose_the_value_of_a_hit_depends_on_its_kind() -> None:
    name = "threat.indicator.name"

    assert provenance(alert("zeek/intel_domain"), name) is Provenance.ATTACKER_WRITABLE
    assert provenance(alert("zeek/intel_address_nested"), name) is Provenance.SENSOR
    assert provenance(alert("zeek/intel_file_hash"), name) is Provenance.SENSOR
    assert ("user", "kim") in entities(alert("zeek/intel_user_name"))


def test_the_next_occurrence_is_the_same_alert() -> None:
    first = alert("zeek/certificate_dotted")
    second = alert("zeek/certificate_dotted", **{"ts": 1795162999.0, "uid": "Cx", "id.orig_p": 50999})

    assert (first.rule, entities(first), observables(first)) == (second.rule, entities(second), observables(second))


def test_a_broken_clock_costs_the_time_and_not_the_alert() -> None:
    normalised = alert("zeek/broken_clock")

    assert normalised.time is None
    assert field(normalised, "aurora.time_unreadable") == ["yesterday"]


def test_what_has_an_odd_type_is_named_and_the_rest_is_read() -> None:
    normalised = alert("zeek/odd_types")

    assert field(normalised, "aurora.unread") == ["id, p, msg, sub, actions"]
    assert field(normalised, "source.ip") == ["192.0.2.10"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("context_conn", "conn"),
        ("context_conn_without_name", "conn"),
        ("context_files_without_name", "files"),
        ("context_signatures", "signatures"),
        ("context_log_of_a_package", "other"),
    ],
)
def test_the_kind_of_context_is_the_log_and_one_of_a_few(name: str, kind: str) -> None:
    assert Formats().by_id("zeek").context(document(f"zeek/{name}")) == kind


def test_a_notice_under_another_name_of_the_log_is_an_alert() -> None:
    assert Formats().by_id("zeek").context(document("zeek/log_under_another_name")) is None


@pytest.mark.parametrize(
    ("name", "changes", "where"),
    [
        ("minimal", {"_path": "notice", "note": None}, "note"),
        ("minimal", {"_path": "notice", "note": " "}, "note"),
        ("minimal", {"_path": "notice", "note": "-"}, "note"),
        ("intel_domain", {"seen.indicator": ""}, "seen.indicator"),
        ("intel_domain", {"seen.indicator": {"a": 1}}, "seen.indicator"),
        ("minimal", {"_path": "intel"}, "seen.indicator"),
    ],
)
def test_without_its_type_or_value_there_is_no_alert(name: str, changes: dict[str, object], where: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert(f"zeek/{name}", **changes)

    assert (refused.value.field, refused.value.reason) == (where, "missing_field")
