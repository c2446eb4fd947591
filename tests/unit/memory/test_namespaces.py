"""Namespaces as text: whatever the labels hold, a prefix is a range, and no namespace is another."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory.namespaces import bounds, decode, encode

labels = st.text(
    alphabet=st.one_of(
        st.sampled_from("\x00\x01\x02\x03.%_*-/ aA\U0010ffff"), st.characters(exclude_categories=["Cs"])
    ),
    min_size=1,
    max_size=8,
)
namespaces = st.lists(labels, max_size=4).map(tuple)


@given(namespaces)
def test_a_namespace_comes_back_as_it_was(namespace: tuple[str, ...]) -> None:
    assert decode(encode(namespace)) == namespace


@given(namespaces)
def test_no_null_character_reaches_the_database(namespace: tuple[str, ...]) -> None:
    assert "\x00" not in encode(namespace)


@given(namespaces, namespaces)
@example(("acme",), ("acme-corp",))
@example(("acme",), ("acme", "\U0010ffff"))
@example(("a",), ("a\x01", "b"))
@example(("%",), ("x",))
@example(("a", "b"), ("a.b",))
def test_exactly_what_begins_with_a_prefix_is_in_its_range(prefix: tuple[str, ...], namespace: tuple[str, ...]) -> None:
    found = bounds(prefix)

    text = encode(namespace).encode()  # both databases compare as bytes
    in_range = found is None or found[0].encode() <= text < found[1].encode()

    assert in_range == (namespace[: len(prefix)] == prefix)


@given(namespaces, labels)
def test_what_is_under_a_namespace_is_in_its_range(prefix: tuple[str, ...], label: str) -> None:
    found = bounds(prefix)

    text = encode((*prefix, label))

    assert found is None or found[0] <= text < found[1]


@pytest.mark.parametrize("namespace", [("",), ("a", ""), ("\ud800",)])
def test_a_label_that_cannot_be_kept_is_refused(namespace: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"label {len(namespace) - 1}"):
        encode(namespace)
