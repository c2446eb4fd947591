"""Microsoft SecurityAlert rows and the same alerts from Graph."""

from __future__ import annotations

import json

import pytest

from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import alert, document, entities, field, observables, provenance

POWERSHELL = "c:\\windows\\system32\\windowspowershell\\v1.0\\powershell.exe"


def test_a_process_tree_is_followed_through_its_references() -> None:
    normalised = alert("microsoft/endpoint_process_tree")

    assert ("process", POWERSHELL) in entities(normalised)
    assert field(normalised, "process.command_line") == ["powershell.exe -enc SQBFAFgA", "winword.exe /n payslip.docm"]
    assert field(normalised, "process.parent.executable") == ["C:\\Program Files\\Office\\WINWORD.EXE"]
    assert len(field(normalised, "file.hash.sha256")) == 1, "an image listed again by reference is told once"


def test_a_reference_may_come_before_its_definition() -> None:
    normalised = alert("microsoft/nested_reference")

    assert ("process", "c:\\windows\\system32\\rundll32.exe") in entities(normalised)
    assert field(normalised, "process.parent.command_line") == ["explorer.exe"]
    assert not any(kind == "file" for kind, _ in entities(normalised)), "the image of a process is no further entity"


def test_references_that_lead_nowhere_or_in_circles_end() -> None:
    normalised = alert("microsoft/dangling_and_cyclic_references")

    assert field(normalised, "aurora.unread") == ["Entities.0"]
    assert {("mailbox", "kim@corp.example"), ("user", "kim")} <= entities(normalised)


def test_columns_as_json_text_give_what_parsed_ones_give() -> None:
    parsed = document("microsoft/columns_as_json_text")
    for column in ("Entities", "ExtendedProperties", "Techniques", "SubTechniques"):
        parsed[column] = json.loads(parsed[column])

    assert alert("microsoft/columns_as_json_text") == alert("microsoft/columns_as_json_text", **parsed)


@pytest.mark.parametrize("text", ["[{", "[" * 100_000, '{"$ref": 1}', "[1, 2", "{}"])
def test_json_text_that_cannot_be_used_costs_the_column_and_not_the_alert(text: str) -> None:
    normalised = alert("microsoft/endpoint_process_tree", Entities=text)

    assert normalised.title == "Office started a script"
    assert ("host", "ws-7.corp.example") in entities(normalised), "the compromised entity stands in"


def test_labels_and_incident_ids_are_never_read() -> None:
    plain = alert("microsoft/endpoint_process_tree")

    labelled = alert("microsoft/endpoint_process_tree", IncidentId="38", _techniques=["T1003"], _verdict="malicious")

    assert labelled == plain


def test_command_lines_are_the_attackers_and_images_the_sensors() -> None:
    normalised = alert("microsoft/endpoint_process_tree")

    assert provenance(normalised, "process.command_line") is Provenance.ATTACKER_WRITABLE
    assert provenance(normalised, "process.executable") is Provenance.SENSOR
    assert provenance(normalised, "event.reason") is Provenance.ATTACKER_WRITABLE
    assert provenance(normalised, "user.name") is Provenance.IDENTITY_SERVER


def test_an_account_that_no_directory_knows_is_the_attackers_word() -> None:
    assert provenance(alert("microsoft/account_nobody_vouches_for"), "user.name") is Provenance.ATTACKER_WRITABLE


def test_the_name_of_an_alert_of_a_custom_rule_may_quote_the_event() -> None:
    assert provenance(alert("microsoft/sentinel_scheduled_rule"), "rule.name") is Provenance.ATTACKER_WRITABLE
    assert provenance(alert("microsoft/file_dropped"), "rule.name") is Provenance.SENSOR


def test_the_rule_does_not_depend_on_a_name_that_quotes_the_event() -> None:
    first = alert("microsoft/sentinel_scheduled_rule")
    second = alert("microsoft/sentinel_scheduled_rule", DisplayName="Rare logon by kim from 203.0.113.77")

    assert first.rule == second.rule
    assert alert("microsoft/sign_in_risk").rule == "IPC/AnonymousLogin"
    assert alert("microsoft/no_detector_generic_type").rule == "WindowsDefenderAtp/No detector id"


def test_entities_are_the_same_in_the_next_occurrence() -> None:
    again = document("microsoft/endpoint_process_tree")
    again["Entities"][2] |= {"ProcessId": "9", "CommandLine": "powershell.exe -enc AAAA"}
    again["Entities"][0] |= {"LastExternalIpAddress": "203.0.113.99", "LoggedOnUsers": []}

    first, second = alert("microsoft/endpoint_process_tree"), alert("microsoft/endpoint_process_tree", **again)

    assert entities(first) == entities(second)
    assert observables(first) == observables(second)


def test_techniques_of_all_columns_are_mapped() -> None:
    assert alert("microsoft/revoked_techniques").mitre_techniques == ("T1574", "T1574.001", "T1685")


def test_a_message_tells_sender_recipient_and_what_became_of_it() -> None:
    normalised = alert("microsoft/mail_phish")

    assert ("mailbox", "kim@corp.example") in entities(normalised)
    assert ("url", "https://login.example.net/pay") in observables(normalised)
    assert ("email", "pay@example.net") in observables(normalised)
    assert field(normalised, "event.action") == ["blocked"]
    assert field(normalised, "event.verdict") == ["Malicious", "Suspicious"]


def test_a_host_has_no_addresses_among_the_entities() -> None:
    normalised = alert("microsoft/closed_by_an_analyst")

    assert entities(normalised) == {("host", "ws-7.corp.example")}
    assert field(normalised, "host.ip") == ["10.0.0.7", "203.0.113.7"]
    assert provenance(normalised, "event.classification") is Provenance.HUMAN


def test_the_portals_american_times_are_read() -> None:
    time = alert("microsoft/times_of_the_portal").time

    assert time is not None
    assert time.isoformat() == "2026-11-20T08:15:00.123000+00:00"


def test_a_severity_that_microsoft_does_not_use_is_refused() -> None:
    with pytest.raises(RecordRejected, match="Informational, Low, Medium, High") as refused:
        alert("microsoft/minimal", AlertSeverity="Terrible")

    assert refused.value.field == "AlertSeverity"


@pytest.mark.parametrize("name", ["microsoft/minimal", "microsoft_graph/minimal"])
def test_an_alert_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        alert(name, DisplayName="", title="")

    assert refused.value.field == ("DisplayName" if name == "microsoft/minimal" else "title")


def test_both_spellings_of_an_alert_agree_on_who_took_part() -> None:
    row, graph = alert("microsoft/endpoint_process_tree"), alert("microsoft_graph/endpoint_process")

    assert entities(graph) <= entities(row)
    assert (graph.severity, graph.time) == (Severity.HIGH, row.time.replace(microsecond=0) if row.time else None)
    assert field(graph, "process.parent.executable") == field(row, "process.parent.executable")


def test_what_graph_says_was_prevented_was_blocked() -> None:
    assert set(field(alert("microsoft_graph/blocked_file"), "event.action")) == {"blocked"}


def test_kinds_of_tomorrow_are_named_and_the_rest_is_read() -> None:
    for name, unread in (
        ("microsoft/unknown_entity_kind", "Entities.0, Entities.1, Entities.2, Entities.3"),
        ("microsoft_graph/unknown_evidence", "evidence.0, evidence.1, evidence.2"),
    ):
        normalised = alert(name)

        assert field(normalised, "aurora.unread") == [unread]
        assert ("host", "ws-7.corp.example") in entities(normalised)
