"""A log for programs: one object a line, whatever is in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from aurora.kernel.errors import StorageUnavailable
from aurora.observability.logging import JsonHandler


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream, logger = io.StringIO(), logging.getLogger("aurora.tests.json")
    handler = JsonHandler(stream)
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_record_is_one_object_with_its_fields(written):
    logger, stream = written

    logger.warning("task.leased", extra={"task_id": "t1", "attempt": 2})

    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "logger": "aurora.tests.json",
        "event": "task.leased",
        "attempt": 2,
        "task_id": "t1",
    }


def test_an_error_is_told_by_its_code(written):
    logger, stream = written

    logger.warning("storage.away", exc_info=StorageUnavailable("away"))

    assert json.loads(stream.getvalue())["error"] == StorageUnavailable.code


def test_hostile_text_stays_on_its_line_and_moves_no_cursor(written):
    logger, stream = written

    logger.warning("x", extra={"said": 'a\n{"level":"error"}\x1b[2J\u202e', "thing": object()})

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["level"] == "warning"
    assert "\x1b" not in line
    assert "\u202e" not in line


def test_a_reader_that_has_gone_is_no_error(written):
    logger, stream = written
    stream.close()

    logger.warning("nobody.hears")
