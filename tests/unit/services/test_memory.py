"""What people type about a memory, and what is read off it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aurora.kernel.errors import InputError
from aurora.services.memory import moment, subject_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T12:30Z", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        ("2026-06-01T12:30+02:00", datetime(2026, 6, 1, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_date_or_how_long_ago(typed: str, meant: datetime) -> None:
    assert moment(typed, now=NOW, option="--at") == meant


@pytest.mark.parametrize("typed", ["", "soon", "7", "-7d", "2026-13-01", "999999w", "0001-01-01T00:00+14:00"])
def test_what_is_no_moment_is_refused_with_its_option(typed: str) -> None:
    with pytest.raises(InputError, match="--at"):
        moment(typed, now=NOW, option="--at")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("host:WEB-1.Corp.Example", "host:web-1.corp.example"),
        (" Host : web-1 ", "host:web-1"),
        ("user:CORP\\J.Doe", "user:corp\\j.doe"),
        ("ip:2001:DB8:0:0::1", "ip:2001:db8::1"),
        ("domain:evil[.]example", "domain:evil.example"),
        ("cve:cve-2026-1234", "cve:CVE-2026-1234"),
        ("asset:PLC-7", "asset:PLC-7"),
    ],
)
def test_a_subject_is_spelled_as_alerts_spell_it(typed: str, kept: str) -> None:
    assert subject_of(typed) == kept


@pytest.mark.parametrize("typed", ["", "web-1", "host:", ":web-1", "ip:web-1"])
def test_what_no_alert_could_name_is_no_subject(typed: str) -> None:
    with pytest.raises(InputError):
        subject_of(typed)


class Answers:
    """Stands for a desk that answers one thing."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Any:
            return self._answers[name]

        return answer


async def test_an_empty_answer_is_told_with_the_reason() -> None:
    from aurora.services.memory import search_memory
    from memory.recall import Recalled

    desk = Answers(search=Recalled(items=(), abstained="nothing is close", considered=3), items={}, without_vector=0)

    found = await search_memory(desk, "x", now=NOW)  # type: ignore[arg-type]

    assert (found["hits"], found["abstained"], found["considered"]) == ([], "nothing is close", 3)
