"""Formats that walk nested records: bounds, depth, and detection that no damage turns over to another format."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.ingest.formats._draft import MAX_ITEMS, MAX_TITLE, MAX_VALUE_BYTES, Draft
from aurora.ingest.formats._tree import Leaf, Reader, tree, unwrapped
from aurora.ingest.formats.registry import Formats
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Alert
from tests.unit.ingest.alert_fixtures import ALERT_ID, ALL, document, field

FORMATS = Formats()
NESTED = ("elastic", "falco", "wazuh")
NAMES = [name for name in ALL if name.startswith(NESTED)]
PARTS = ("host", "source", "data", "output_fields", "tags", "threat", "syscheck", "process")
_ODD = (
    None,
    "",
    "-",
    0,
    -1,
    True,
    1e308,
    [],
    {},
    "x" * 30_000,
    "ü" * 9_000,
    "\u202e\u0000",
    "\\\\\\",
    "[::1",
    "::->::",
    "T1059",
    "2017 Jan 05 14:11:21",
)
_S = Provenance.SENSOR
_TREE = tree({"host.name": Leaf("host.name", _S), "process.parent.name": Leaf("process.parent.name", _S)})


@pytest.mark.parametrize(
    "record",
    [
        {"process": {"parent": {"name": "a"}}},
        {"process.parent.name": "a"},
        {"process": {"parent.name": "a"}},
        {"process.parent": {"name": "a"}},
        {"process": [{"parent": [{"name": ["a"]}]}]},
    ],
)
def test_every_spelling_of_a_path_is_read(record: dict[str, Any]) -> None:
    reader = Reader(Draft())

    reader.read(_TREE, record, "")

    assert reader.values == {"process.parent.name": "a"}


def test_a_pointer_leads_through_lists_and_flattened_keys() -> None:
    reader = Reader(Draft())

    reader.read(_TREE, {"process.parent": [{"name": ["a", "b"]}]}, "/_source")

    assert [each.path for each in reader.draft.fields] == [
        "/_source/process.parent/0/name/0",
        "/_source/process.parent/0/name/1",
    ]


def test_equal_values_of_one_name_are_kept_once() -> None:
    reader = Reader(Draft())

    reader.read(_TREE, {"host": {"name": "a"}, "host.name": "a"}, "")

    assert len(reader.draft.fields) == 1


def test_a_hit_is_unwrapped_and_a_record_that_only_looks_like_one_is_not() -> None:
    assert unwrapped({"_source": {"a": 1}}) == ({"a": 1}, "/_source")
    assert unwrapped({"_index": "x", "fields": {"a": [1]}}) == ({"a": [1]}, "/fields")
    for record in ({"_source": "text"}, {"fields": {"a": 1}}, {"_index": "x", "fields": ["a"]}):
        assert unwrapped(record) == (record, "")


@pytest.mark.parametrize("format_id", NESTED)
def test_very_deep_and_very_wide_values_are_survived_and_cut(format_id: str) -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = {"process": deep, "win": deep, "threat": [deep], "rule": deep}
    wide = [{"name": f"host{number}", "ip": [f"10.0.{number >> 8}.{number & 255}"]} for number in range(5_000)]
    many = {"proc.cmdline": ["x" * 20_000] * 2_000, "ct.srcip": [f"10.1.{n >> 8}.{n & 255}" for n in range(2_000)]}

    for value in (deep, wide, many):
        record = document(f"{format_id}/minimal") | dict.fromkeys(PARTS, value)
        _check(_normalised(format_id, record))


@pytest.mark.parametrize("format_id", NESTED)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_record_is_bounded_and_never_turned_over_to_another_format(
    format_id: str, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([name for name in NAMES if name.startswith(format_id)]))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    record = document(name)
    for _ in range(chance.randint(1, 4)):
        _damage(record, chance)
    turned = dict(sorted(record.items(), key=lambda _: chance.random()))

    matching = [each.id for each in FORMATS if each.matches(record)]

    assert matching in ([], [format_id])
    assert [each.id for each in FORMATS if each.matches(turned)] == matching, "the order of keys tells nothing"
    assert FORMATS.by_id(format_id).context(record) == FORMATS.by_id(format_id).context(turned)
    _check(_normalised(format_id, record))


def _damage(record: Any, chance: random.Random) -> None:
    """Replace, remove, repeat or nest one value somewhere in the record."""
    while True:
        keys: list[Any] = list(record) if isinstance(record, dict) else list(range(len(record)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(record[key], (dict, list)) and record[key] and chance.random() < 0.8:
            record = record[key]
            continue
        value = record[key]
        record[key] = chance.choice(
            [
                *_ODD,
                value,
                [value, value],
                {"inner": value},
                {key: value},
                [[value]],
                [value] * 400,
                str(value),
            ]
        )
        if isinstance(record, dict) and chance.random() < 0.2:
            del record[key]
        return


def _normalised(format_id: str, record: dict[str, Any]) -> Alert | RecordRejected:
    try:
        return FORMATS.by_id(format_id).normalise(record, id=ALERT_ID)
    except RecordRejected as rejected:
        return rejected


def _check(answer: Alert | RecordRejected) -> None:
    if isinstance(answer, RecordRejected):
        assert answer.reason in {"missing_field", "invalid_value"}
        assert answer.field
        return
    assert len(answer.title) <= MAX_TITLE
    assert max((len(str.__str__(each.value).encode()) for each in answer.fields), default=0) <= MAX_VALUE_BYTES
    assert len(answer.fields) <= MAX_ITEMS + 2
    assert max(len(answer.entities), len(answer.observables), len(answer.mitre_techniques)) <= MAX_ITEMS
    assert (
        max((len(each.value.encode()) for each in (*answer.entities, *answer.observables)), default=0)
        <= MAX_VALUE_BYTES
    )
    assert len(answer.rule.encode()) <= 2 * MAX_VALUE_BYTES + 2
    assert len(field(answer, "aurora.unread")) <= 1
