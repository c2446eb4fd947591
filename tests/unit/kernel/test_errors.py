"""The error tree."""

from __future__ import annotations

import pickle

import pytest

import aurora.bootstrap
import aurora.dispatch.circuit
import aurora.ingest.formats.registry
import aurora.security.errors
import aurora.storage.schema  # noqa: F401 - the tree is whole when whoever adds to it is imported
from aurora.kernel.errors import AuroraError, RecordRejected


def _tree(kind: type[AuroraError]) -> list[type[AuroraError]]:
    return [kind, *(deeper for each in kind.__subclasses__() for deeper in _tree(each))]


@pytest.mark.parametrize("kind", _tree(AuroraError), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling(kind: type[AuroraError]) -> None:
    error = kind("what was wrong", task_id="t1", size_bytes=7)

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert (str(copy), copy.context) == (str(error), error.context)


def test_a_rejection_keeps_its_reason_and_field_through_pickling() -> None:
    error = RecordRejected("`severity` is missing", reason="missing_field", field="severity")

    copy = pickle.loads(pickle.dumps(error))

    assert (copy.reason, copy.field) == ("missing_field", "severity")


def test_codes_are_unique_and_say_whose_they_are() -> None:
    codes = [kind.code for kind in _tree(AuroraError)]

    assert len(set(codes)) == len(codes)
    assert all(code.startswith("aurora.") for code in codes)
