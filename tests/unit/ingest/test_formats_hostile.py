"""Whatever a record holds, a format answers with an alert or with a rejection that names a field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.ingest.formats.base import Format
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.models import Alert
from tests.unit.ingest.alert_fixtures import ALERT_ID, ALL, document

ALERTS = [name for name in ALL if "/context_" not in name]
FORMATS = Formats()

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.sampled_from(
        [
            "",
            " ",
            "x" * 9_000,
            "\u202e\u0000",
            "T1059",
            "203.0.113.8",
            "hxxp://a[.]example",
            "[{}]",
            '{"$ref":1}',
            "2026-11-20T08:15:00Z",
            "C:\\a\\b.exe",
            "<<>@[]",
            "high",
            1e308,
            -1,
        ]
    )
)
# What a JSON parser can produce: text keys, finite numbers, no lone surrogates.
JSON = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["$id", "$ref", "Type", "Name", "name", "value", "type", "ip", "rrname", "hash", "@odata.type"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        found += _places(inner, (*path, key))
    return found


def _change(record: Any, path: tuple[str | int, ...], how: str, new: Any) -> None:
    for key in path[:-1]:
        record = record[key]
    last = path[-1]
    if how == "remove":
        del record[last]
    elif how == "nest":
        record[last] = {"inner": [record[last]]}
    elif how == "wrap":
        record[last] = [record[last], record[last]]
    else:
        record[last] = new


@pytest.mark.parametrize("name", ALERTS)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_record_is_an_alert_or_a_rejection_that_names_a_field(name: str, data: st.DataObject) -> None:
    record = document(name)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(record)
        if not places:
            break
        _change(
            record,
            data.draw(st.sampled_from(places)),
            data.draw(st.sampled_from(["replace", "replace", "remove", "nest", "wrap"])),
            data.draw(JSON),
        )

    _check(FORMATS.by_id(name.partition("/")[0]), record)
    for each in FORMATS:
        each.matches(record)
        each.context(record)


@pytest.mark.parametrize("format_id", [each.id for each in FORMATS])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(record=st.dictionaries(st.text(max_size=12), JSON, max_size=6))
def test_any_object_at_all_is_an_alert_or_a_rejection_that_names_a_field(
    format_id: str, record: dict[str, Any]
) -> None:
    _check(FORMATS.by_id(format_id), record)


@pytest.mark.parametrize("name", ["microsoft/minimal", "suricata/minimal", "microsoft_graph/minimal", "aurora/minimal"])
def test_very_deep_and_very_wide_values_are_survived(name: str) -> None:
    deep: Any = {"$id": "1", "Type": "process"}
    for _ in range(900):
        deep = {"$id": "1", "Type": "process", "ParentProcess": deep, "inner": [deep]}
    wide = [{"Type": "ip", "Address": f"10.0.{n >> 8}.{n & 255}", "@odata.type": "x"} for n in range(20_000)]

    for value in (deep, wide):
        record = document(name) | {"Entities": value, "evidence": value, "http": value, "files": value, "dns": value}
        _check(FORMATS.by_id(name.partition("/")[0]), record)


def _check(chosen: Format, record: dict[str, Any]) -> None:
    answer = _answer(chosen, record)
    if isinstance(answer, RecordRejected):
        assert answer.field
        assert answer.field in answer.message or answer.reason == "unknown_key"
    else:
        assert Alert.model_validate_json(answer.model_dump_json()) == answer


def _answer(chosen: Format, record: dict[str, Any]) -> Alert | RecordRejected:
    try:
        return chosen.normalise(record, id=ALERT_ID)
    except RecordRejected as rejected:
        return rejected
