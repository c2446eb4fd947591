"""Windows events, and the detections of Defender among them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aurora.ingest.dedup import fingerprint
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from tests.unit.ingest.alert_fixtures import ALL, alert, document, entities, field, observables, provenance

WINDOWS = Formats().by_id("windows")
SPELLINGS = (
    "defender_detection",
    "defender_winlogbeat",
    "defender_underscores",
    "defender_data_as_list",
    "defender_in_search_result",
    "defender_dotted",
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("context_tree_sysmon", "sysmon"),
        ("context_linux_sysmon", "sysmon"),
        ("context_linux_sysmon_flat", "sysmon"),
        ("context_flat_sysmon", "sysmon"),
        ("context_flat_hostname", "powershell"),
        ("context_tree_qualified_number", "system"),
        ("context_winlogbeat_security", "security"),
        ("context_nxlog_security", "security"),
        ("context_splunk", "security"),
        ("context_get_winevent", "security"),
        ("context_sentinel_table", "security"),
        ("context_user_data", "remote_desktop"),
        ("context_defender_update", "defender"),
    ],
)
def test_an_event_is_context_under_the_short_name_of_its_channel(name: str, kind: str) -> None:
    assert WINDOWS.context(document(f"windows/{name}")) == kind


def test_a_channel_that_anybody_may_have_made_up_gives_no_kind_of_its_own() -> None:
    for channel in ("Lab/Operational", "\x1b[31m", 7, None):
        assert WINDOWS.context({"EventID": 1, "Channel": channel, "Computer": "ws01"}) == "windows"


@pytest.mark.parametrize("name", [each for each in ALL if each.startswith("windows/defender_")])
def test_a_detection_of_defender_is_an_alert(name: str) -> None:
    assert WINDOWS.context(document(name)) is None
    assert alert(name).product == "Microsoft Defender Antivirus"


def test_the_same_number_in_another_channel_is_no_detection() -> None:
    record = document("windows/defender_detection")
    record["Event"]["System"]["Channel"] = "System"

    assert WINDOWS.context(record) == "system"


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_tells_the_same(name: str) -> None:
    normalised = alert(f"windows/{name}")

    assert (normalised.title, normalised.rule) == ("Windows Defender: Virus:DOS/Lab_Test", "defender/2147519003")
    assert normalised.severity is Severity.HIGH
    assert field(normalised, "file.path") == ["C:\\Users\\kim\\Downloads\\lab.exe"]
    assert {("user", "lab\\kim"), ("file", "c:\\users\\kim\\downloads\\lab.exe")} <= entities(normalised)
    assert {value.partition(".")[0] for kind, value in entities(normalised) if kind == "host"} == {"ws01"}


def test_detection_and_action_are_one_alert() -> None:
    assert fingerprint(alert("windows/defender_detection")) == fingerprint(alert("windows/defender_action"))


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("defender_detection", []),
        ("defender_action", ["blocked"]),
        ("defender_old_action", ["blocked"]),
        ("defender_action_failed_badly", ["allowed"]),
    ],
)
def test_what_defender_did_is_told_once_it_did_something(name: str, action: list[str]) -> None:
    assert field(alert(f"windows/{name}"), "event.action") == action


def test_the_severity_goes_by_number_because_its_name_is_translated() -> None:
    assert alert("windows/defender_french_severity").severity is Severity.HIGH
    assert alert("windows/defender_old_detection").severity is Severity.MEDIUM
    assert alert("windows/defender_action_failed_badly").severity is Severity.LOW
    assert alert("windows/defender_time_unreadable").severity is Severity.MEDIUM


def test_a_download_tells_file_and_address() -> None:
    normalised = alert("windows/defender_download")

    assert ("url", "http://dl.example.net/lab.exe") in observables(normalised)
    assert provenance(normalised, "url.full") is Provenance.ATTACKER_WRITABLE
    assert field(normalised, "file.path") == ["C:\\Users\\kim\\Downloads\\lab.exe"] * 2


def test_archives_run_keys_and_bare_paths_are_read() -> None:
    assert field(alert("windows/defender_in_archive"), "file.path") == [
        "C:\\Temp\\lab.zip",
        "C:\\Temp\\lab.zip->lab.exe",
    ]
    assert field(alert("windows/defender_run_key"), "registry.path")[0].startswith("HKCU@S-1-5-21-1\\SOFTWARE")
    assert field(alert("windows/defender_plain_path"), "file.path") == ["C:\\Temp\\lab.exe"]
    assert field(alert("windows/defender_behaviour"), "file.path") == []


def test_defender_vouches_for_names_and_accounts_and_not_for_paths() -> None:
    normalised = alert("windows/defender_detection")

    for name in ("rule.name", "host.name", "user.name", "process.executable"):
        assert provenance(normalised, name) is Provenance.SENSOR, name
    assert provenance(normalised, "file.path") is Provenance.ATTACKER_WRITABLE


def test_what_defender_does_not_know_is_left_out() -> None:
    normalised = alert("windows/defender_only_id")

    assert normalised.title == "Windows Defender: threat 2147519003"
    assert entities(normalised) == {("host", "ws01.lab.example")}


def test_the_time_is_that_of_the_detection_else_of_the_event() -> None:
    assert alert("windows/defender_detection").time == datetime(2026, 11, 20, 8, 14, 59, tzinfo=UTC)
    unreadable = alert("windows/defender_time_unreadable")
    assert unreadable.time is None
    assert field(unreadable, "aurora.time_unreadable") == ["soon"]


@pytest.mark.parametrize(
    ("record", "where"),
    [
        ({}, "EventID"),
        ({"EventID": 1116, "Channel": "Microsoft-Windows-Windows Defender/Operational"}, "Threat Name"),
    ],
)
def test_without_an_event_or_a_threat_there_is_no_alert(record: dict[str, Any], where: str) -> None:
    with pytest.raises(RecordRejected) as refused:
        WINDOWS.normalise(record, id=alert("windows/defender_detection").id)

    assert (refused.value.reason, refused.value.field) == ("missing_field", where)


@pytest.mark.parametrize(
    "record",
    [
        {"EventID": 7},
        {"EventID": 7, "Message": "some other product numbers its events"},
        {"Event": {"System": "text"}},
        {"Event": "text", "winlog": 7},
        {"winlog": {"event_id": 1}, "kibana.alert.rule.uuid": "1"},
        {"winlog": {"event_id": 1}, "signal": {"rule": {}}},
        {"data": {"win": {"system": {"eventID": "1"}}}, "rule": {"id": "1"}},
        {"Id": 1, "ProviderName": "x"},
        {"_source": {"EventID": 1}},
    ],
)
def test_what_only_looks_like_a_windows_event_is_not_taken(record: dict[str, Any]) -> None:
    assert not WINDOWS.matches(record)
