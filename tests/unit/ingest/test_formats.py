"""Every format: found, told apart, and held to what base.py promises."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from aurora.ingest.formats._draft import MAX_ITEMS, MAX_VALUE_BYTES
from aurora.ingest.formats._moments import moment_of
from aurora.ingest.formats.registry import Formats, UnknownFormat
from aurora.kernel.errors import ContentInvalid
from aurora.kernel.models import Alert
from tests.unit.ingest.alert_fixtures import ALERT_ID, ALL, alert, document, field

HOLD_POINTERS_OF_OTHERS = {
    "microsoft/columns_as_json_text",
    "microsoft/sentinel_scheduled_rule",
    "aurora/as_aurora_writes_it",
}
"""Their pointers lead into JSON text, or into a record that is not here."""


def test_every_format_has_twenty_fixtures() -> None:
    folders = Counter(name.partition("/")[0] for name in ALL)

    assert set(folders) == {each.id for each in Formats()}
    assert min(folders.values()) >= 20


@pytest.mark.parametrize("name", ALL)
def test_a_fixture_is_of_its_own_format_and_of_no_other(name: str) -> None:
    matching = [each.id for each in Formats() if each.matches(document(name))]

    assert matching == [name.partition("/")[0]]


@pytest.mark.parametrize("name", [name for name in ALL if "/context_" not in name])
def test_an_alert_round_trips_and_its_pointers_lead_to_values(name: str) -> None:
    record = document(name)

    normalised = alert(name)

    assert normalised.id == ALERT_ID
    assert Alert.model_validate_json(normalised.model_dump_json()) == normalised
    assert normalised.rule, "without a rule the fingerprint would join alerts of different detections"
    if name not in HOLD_POINTERS_OF_OTHERS:
        for each in normalised.fields:
            assert _leads_somewhere(record, each.path), each.path


@pytest.mark.parametrize("name", [name for name in ALL if "/context_" in name])
def test_a_record_that_is_no_alert_says_its_kind(name: str) -> None:
    chosen = Formats().detect(document(name))

    assert chosen is not None
    assert chosen.context(document(name)) is not None


def test_the_format_of_the_record_before_is_asked_first() -> None:
    asked: list[str] = []
    formats = Formats([_Recorder("a", asked), _Recorder("b", asked), _Recorder("c", asked)])

    found = formats.detect({}, hint="c")

    assert found is not None
    assert (found.id, asked) == ("c", ["c"])


def test_a_hint_that_fails_is_not_asked_twice() -> None:
    asked: list[str] = []
    formats = Formats([_Recorder("a", asked, matches=False), _Recorder("b", asked, matches=False)])

    found = formats.detect({}, hint="b")

    assert (found, asked) == (None, ["b", "a"])


def test_an_unknown_id_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownFormat, match=", ".join(each.id for each in Formats())):
        Formats().by_id("snort")


def test_two_formats_of_one_id_are_refused() -> None:
    with pytest.raises(ContentInvalid, match="'a'"):
        Formats([_Recorder("a", []), _Recorder("a", [])])


@pytest.mark.parametrize(
    "record", [{}, {"a": 1}, {"event_type": ["alert"], "timestamp": 1}, {"title": 7}, {"Type": {}}, {"@odata.type": []}]
)
def test_a_record_of_nobody_matches_nothing(record: dict[str, Any]) -> None:
    assert Formats().detect(record) is None or record == {"title": 7}


def test_a_long_value_is_cut_at_a_whole_character_and_the_cut_is_told() -> None:
    normalised = alert("suricata/payload_and_bodies", payload_printable="ü" * 10_000)

    (payload,) = field(normalised, "network.payload")
    assert len(payload.encode()) <= MAX_VALUE_BYTES
    assert payload.endswith("ü […cut]")
    assert field(normalised, "aurora.truncated") == ["payload_printable"]


def test_a_value_of_exactly_the_limit_is_kept_whole() -> None:
    normalised = alert("suricata/payload_and_bodies", payload_printable="x" * MAX_VALUE_BYTES)

    assert field(normalised, "network.payload") == ["x" * MAX_VALUE_BYTES]
    assert field(normalised, "aurora.truncated") == []


def test_entities_observables_and_fields_are_bounded_and_the_cut_is_told() -> None:
    recipients = [f"user{number}@example.com" for number in range(MAX_ITEMS + 50)]
    questions = [{"rrname": f"h{number}.example.net", "rrtype": "A"} for number in range(MAX_ITEMS)]

    normalised = alert("suricata/minimal", smtp={"rcpt_to": recipients}, dns={"version": 3, "queries": questions})

    assert len(normalised.entities) == MAX_ITEMS
    assert len(normalised.observables) <= MAX_ITEMS
    assert len(normalised.fields) <= MAX_ITEMS + 2
    assert field(normalised, "aurora.truncated") == ["fields, smtp.rcpt_to"]


def test_a_title_of_any_length_fits() -> None:
    normalised = alert("microsoft/minimal", DisplayName="x" * 2_000)

    assert len(normalised.title) == 500
    assert field(normalised, "rule.name") == ["x" * 2_000]


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-11-20T08:15:00Z",
        "2026-11-20T08:15:00.0000000Z",
        "2026-11-20T09:15:00+0100",
        "2026-11-20 08:15:00+00:00",
        "2026-11-20 08:15:00",
        "20261120T081500Z",
        "11/20/2026 8:15:00 AM",
        "11/20/2026, 8:15:00 AM",
        "11/20/2026 08:15:00",
        1795162500,
        1795162500.0,
        1795162500000,
        1795162500000000,
        1795162500000000000,
        "1795162500",
        "1795162500.0",
        "1795162500000",
    ],
)
def test_every_spelling_of_a_moment_is_the_same_moment(spelling: object) -> None:
    assert moment_of(spelling) == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "yesterday",
        "0000-00-00T00:00:00",
        "2026-13-01",
        "9999-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        -1,
        1e300,
        float("inf"),
        float("nan"),
        True,
        None,
        [],
        {},
        "9" * 80,
        "0001-01-01T00:00:00+14:00",
        10**30,
        "²",
    ],
)
def test_what_is_no_moment_is_none(spelling: object) -> None:
    assert moment_of(spelling) is None


class _Recorder:
    title = "recorder"

    def __init__(self, id: str, asked: list[str], *, matches: bool = True) -> None:
        self.id = id
        self._asked = asked
        self._matches = matches

    def matches(self, document: Any) -> bool:
        self._asked.append(self.id)
        return self._matches

    def context(self, document: Any) -> str | None:
        return None

    def normalise(self, document: Any, *, id: Any) -> Alert:
        raise NotImplementedError


def _leads_somewhere(record: Any, pointer: str) -> bool:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(record, list) and key.isdecimal() and int(key) < len(record):
            record = record[int(key)]
            continue
        if not isinstance(record, dict) or key not in record:
            return False
        record = record[key]
    return True
