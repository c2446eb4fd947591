"""Equal JSON values have equal bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.kernel.canonical import canonical

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_read_back_has_the_same_bytes(value) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_the_order_of_keys_and_the_kind_of_list_do_not_matter() -> None:
    assert canonical({"b": (1, 2), "a": "é"}) == canonical({"a": "é", "b": [1, 2]}) == b'{"a":"\\u00e9","b":[1,2]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_json_does_not_know_is_refused(value) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical(value)
