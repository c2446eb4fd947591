"""Wazuh alerts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aurora.ingest.dedup import fingerprint
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance

POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (1, Severity.INFO),
        (3, Severity.INFO),
        (4, Severity.LOW),
        (6, Severity.LOW),
        (7, Severity.MEDIUM),
        (11, Severity.MEDIUM),
        (12, Severity.HIGH),
        (14, Severity.HIGH),
        (15, Severity.CRITICAL),
        (16, Severity.CRITICAL),
        ("12", Severity.HIGH),
        (17, Severity.MEDIUM),
        (-1, Severity.MEDIUM),
        (True, Severity.MEDIUM),
        ("high", Severity.MEDIUM),
    ],
)
def test_the_severity_follows_the_level_and_what_is_no_level_is_medium(level: object, expected: Severity) -> None:
    normalised = alert("wazuh/minimal", rule={"id": "1", "description": "Lab", "level": level})

    assert normalised.severity is expected
    assert bool(field(normalised, "aurora.unread")) == (level in {17, -1, "high"} or level is True)


def test_the_time_of_ossec_is_read_without_its_zone() -> None:
    assert alert("wazuh/ossec_old_form").time == datetime(2017, 1, 5, 14, 11, 21, tzinfo=UTC)
    assert alert("wazuh/minimal", timestamp="2017 Jan  5 14:11:21").time == datetime(2017, 1, 5, 14, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("broken", ["2017 Foo 05 14:11:21", "2017 Feb 31 14:11:21", "2017 Jan 05 14:11:21 extra"])
def test_a_time_of_ossec_that_there_is_not_stays_as_text(broken: str) -> None:
    normalised = alert("wazuh/minimal", timestamp=broken)

    assert normalised.time is None
    assert len(field(normalised, "aurora.time_unreadable")) == 1


def test_an_alert_of_ossec_is_read_beside_its_rule() -> None:
    normalised = alert("wazuh/ossec_old_form")

    assert normalised.rule == "5501"
    assert field(normalised, "process.command_line") == ["/bin/ls"]
    assert {("user", "kim"), ("user", "root"), ("host", "ws-7")} <= entities(normalised)


def test_text_of_windows_events_loses_the_escapes_of_wazuh() -> None:
    normalised = alert("wazuh/windows_sysmon_process")

    assert field(normalised, "process.executable") == [POWERSHELL]
    assert field(normalised, "process.command_line") == [f'"{POWERSHELL}" -enc SQBFAFgA']
    assert field(normalised, "process.parent.executable") == ["C:\\Program Files\\Office\\WINWORD.EXE"]


@pytest.mark.parametrize("text", ["\\\\files\\share\\x.exe", "C:\\Temp\\x.exe", "plain"])
def test_text_that_is_not_escaped_is_left_as_it_is(text: str) -> None:
    data = document("wazuh/windows_sysmon_process")["data"]
    data["win"]["eventdata"]["commandLine"] = text

    assert field(alert("wazuh/windows_sysmon_process", data=data), "process.command_line") == [text]


def test_the_hashes_of_sysmon_are_parted_and_the_import_hash_is_no_observable() -> None:
    found = observables(alert("wazuh/windows_sysmon_process"))

    assert {kind for kind, _ in found} >= {"hash_md5", "hash_sha1", "hash_sha256"}
    assert not any(value == "0" * 32 for _, value in found)


def test_what_windows_saw_is_the_sensors_and_what_was_typed_is_not() -> None:
    normalised = alert("wazuh/windows_sysmon_process")

    for name in ("process.executable", "user.name", "file.hash.sha256", "rule.name", "host.name"):
        assert provenance(normalised, name) is Provenance.SENSOR, name
    for name in ("process.command_line", "process.parent.command_line", "process.working_directory", "message"):
        assert provenance(normalised, name) is Provenance.ATTACKER_WRITABLE, name


def test_who_logs_on_is_the_target_and_a_failed_logon_proves_no_user() -> None:
    failed, succeeded = alert("wazuh/windows_logon_failed"), alert("wazuh/windows_logon_success")

    assert ("user", "corp\\admin") in entities(failed)
    assert provenance(failed, "user.name") is Provenance.ATTACKER_WRITABLE
    assert ("user", "kim@corp.example") in entities(succeeded)
    assert provenance(succeeded, "user.name") is Provenance.SENSOR


def test_whoever_changes_an_account_is_the_user_and_the_account_is_the_target() -> None:
    roles = {entity.value: entity.role for entity in alert("wazuh/windows_account_created").entities}

    assert (roles["corp\\kim"], roles["corp\\helper"]) == ("", "target")


def test_the_machines_own_address_is_no_entity() -> None:
    normalised = alert("wazuh/windows_logon_success")

    assert field(normalised, "source.ip") == ["::1"]
    assert not any(kind == "address" for kind, _ in entities(normalised))


def test_a_wrapped_suricata_alert_stays_wazuhs_and_brings_its_signature() -> None:
    record = document("wazuh/suricata_inside")
    chosen = Formats().detect(record, hint="suricata")

    normalised = alert("wazuh/suricata_inside")

    assert chosen is not None
    assert chosen.id == "wazuh"
    assert normalised.rule == "86601/1:9000002"
    assert "LAB TROJAN beacon" in field(normalised, "rule.name")
    assert "A Network Trojan was detected" in field(normalised, "rule.category")
    assert ("url", "http://shop.example.com/gate.php?a=1") in observables(normalised)


def test_two_signatures_through_one_rule_of_wazuh_are_two_alerts() -> None:
    data = document("wazuh/suricata_inside")["data"]
    data["alert"]["signature_id"] = "9000003"

    assert fingerprint(alert("wazuh/suricata_inside")) != fingerprint(alert("wazuh/suricata_inside", data=data))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("sca_check", "19007/28500"),
        ("aws_guardduty", "80305/Backdoor:EC2/C&CActivity.B!DNS"),
        ("rootcheck", "510/Process '#' hidden from /proc. Possible kernel level rootkit."),
        ("ssh_brute_force", "5712"),
    ],
)
def test_the_rule_names_what_a_rule_of_wazuh_passes_on(name: str, rule: str) -> None:
    assert alert(f"wazuh/{name}").rule == rule


def test_the_next_occurrence_of_a_rootkit_check_is_the_same_alert() -> None:
    again = {"title": "Process '9' hidden from /proc. Possible kernel level rootkit."}

    assert fingerprint(alert("wazuh/rootcheck")) == fingerprint(alert("wazuh/rootcheck", data=again))


@pytest.mark.parametrize("name", ["virustotal", "docker_exec", "windows_description_quotes_event", "auditd_execve"])
def test_a_description_that_quotes_the_event_is_not_the_sensors_word(name: str) -> None:
    assert provenance(alert(f"wazuh/{name}"), "rule.name") is Provenance.ATTACKER_WRITABLE


@pytest.mark.parametrize(
    "name", ["ssh_brute_force", "sudo_command", "rootcheck", "web_attack", "sca_check", "aws_cloudtrail"]
)
def test_a_description_that_quotes_nothing_is_the_rules_authors(name: str) -> None:
    assert provenance(alert(f"wazuh/{name}"), "rule.name") is Provenance.SENSOR


def test_a_description_that_quotes_a_part_no_table_knows_is_not_believed() -> None:
    data = {"custom": {"deep": [{"note": "nothing happened here"}]}}
    rule = {"id": "100200", "level": 5, "description": "Lab tool says nothing happened here"}

    normalised = alert("wazuh/minimal", data=data, rule=rule)

    assert provenance(normalised, "rule.name") is Provenance.ATTACKER_WRITABLE


def test_the_sender_of_a_syslog_line_is_the_host_and_not_the_manager() -> None:
    normalised = alert("wazuh/firewall_syslog_sender")

    assert ("host", "fw-edge") in entities(normalised)
    assert ("host", "wazuh-lab") not in entities(normalised)
    assert provenance(normalised, "host.name") is Provenance.ATTACKER_WRITABLE
    assert field(normalised, "host.ip") == ["192.0.2.254"]


@pytest.mark.parametrize("name", ["aws_cloudtrail", "office_365", "github"])
def test_records_of_a_service_have_no_host_and_users_that_it_vouches_for(name: str) -> None:
    normalised = alert(f"wazuh/{name}")

    assert not any(kind == "host" for kind, _ in entities(normalised))
    assert provenance(normalised, "user.name") is Provenance.IDENTITY_SERVER


def test_an_address_with_a_port_is_an_address() -> None:
    assert ("address", "198.51.100.20") in entities(alert("wazuh/office_365"))


def test_a_command_that_auditd_parts_is_put_together_in_order() -> None:
    assert field(alert("wazuh/auditd_execve"), "process.command_line") == [
        "curl -o /tmp/x http://files.example.net/x --last"
    ]


def test_an_action_of_docker_is_parted_from_the_command_that_ran() -> None:
    normalised = alert("wazuh/docker_exec")

    assert field(normalised, "event.action") == ["exec_create"]
    assert field(normalised, "process.command_line") == ["sh -c id"]
    assert provenance(normalised, "process.command_line") is Provenance.ATTACKER_WRITABLE


def test_integrity_monitoring_tells_files_from_registry_keys() -> None:
    assert ("file", "/etc/cron.d/lab") in entities(alert("wazuh/syscheck_file_added"))
    assert {kind for kind, _ in observables(alert("wazuh/syscheck_registry"))} == {"registry_key"}


def test_a_verdict_of_virustotal_and_a_vulnerability_are_read() -> None:
    assert field(alert("wazuh/virustotal"), "event.verdict") == ["malicious"]
    assert ("cve", "CVE-2026-12345") in observables(alert("wazuh/vulnerability"))


def test_the_status_of_a_web_request_stands_where_decoders_put_it() -> None:
    normalised = alert("wazuh/web_attack")

    assert field(normalised, "http.response.status_code") == ["200"]
    assert field(normalised, "http.request.method") == ["GET"]
    assert field(alert("wazuh/firewall_syslog_sender"), "network.transport") == ["TCP"]


def test_revoked_techniques_are_those_of_today() -> None:
    assert alert("wazuh/linux_sysmon").mitre_techniques == ("T1574.010",)


def test_tactics_that_wazuh_looked_up_are_not_the_rules_words() -> None:
    said = document("wazuh/informational_login")["rule"]

    looked_up = alert("wazuh/informational_login")
    told = alert("wazuh/informational_login", rule=said | {"mitre": {"tactic": ["Persistence"]}})

    assert (field(looked_up, "threat.tactic.name"), looked_up.mitre_techniques) == ([], ("T1078",))
    assert field(told, "threat.tactic.name") == ["Persistence"]


def test_a_hit_of_the_indexer_is_the_alert_it_holds() -> None:
    bare, hit = alert("wazuh/ssh_brute_force"), alert("wazuh/indexer_hit")

    assert fingerprint(hit) == fingerprint(bare)
    assert hit.severity is bare.severity


@pytest.mark.parametrize(
    ("name", "kind"),
    [("context_archive", "archive"), ("context_archive_hit", "archive"), ("context_ignored", "ignored")],
)
def test_what_no_rule_matched_is_context(name: str, kind: str) -> None:
    assert Formats().by_id("wazuh").context(document(f"wazuh/{name}")) == kind


@pytest.mark.parametrize(("rule", "where"), [("text", "rule"), ({"level": 3}, "rule.id"), (None, "rule")])
def test_without_a_rule_there_is_no_alert(rule: object, where: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert("wazuh/minimal", rule=rule)

    assert (refused.value.field, refused.value.reason) == (where, "missing_field")
