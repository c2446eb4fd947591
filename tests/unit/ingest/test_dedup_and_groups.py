"""Fingerprints, windows and groups: the pure parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aurora.ingest.dedup import fingerprint, join, joinable
from aurora.ingest.grouping import Groups
from aurora.kernel.models import Alert
from tests.conftest import NOON

DAY = timedelta(hours=24)
ID = "0198c0de-0000-7000-8000-000000000001"


@dataclass
class _Seen:
    first_seen: datetime
    last_seen: datetime
    count: int = 1


def _alert(**changes: Any) -> Alert:
    return Alert.model_validate(
        {
            "id": ID,
            "title": "Beacon",
            "severity": "high",
            "source": "ids",
            "rule": "1:2",
            "entities": [{"type": "host", "value": "ws-1"}, {"type": "user", "value": "ana"}],
            "observables": [{"type": "ip", "value": "203.0.113.7"}, {"type": "domain", "value": "c2.example"}],
            **changes,
        }
    )


def test_order_repetition_time_and_text_do_not_make_another_alert() -> None:
    plain = _alert()

    same = _alert(
        title="Beacon (2)",
        description="seen again",
        time=NOON,
        entities=[*reversed(plain.model_dump()["entities"]), plain.model_dump()["entities"][0]],
        observables=list(reversed(plain.model_dump()["observables"])),
    )

    assert fingerprint(same) == fingerprint(plain)


def test_another_rule_source_entity_or_observable_makes_another_alert() -> None:
    others = [
        _alert(rule="1:3"),
        _alert(source="edr"),
        _alert(entities=[{"type": "host", "value": "ws-2"}, {"type": "user", "value": "ana"}]),
        _alert(observables=[{"type": "ip", "value": "203.0.113.8"}]),
        _alert(entities=[{"type": "user", "value": "ws-1"}, {"type": "host", "value": "ana"}]),
    ]

    assert len({fingerprint(each) for each in [_alert(), *others]}) == 6


def test_without_a_rule_the_title_tells_alerts_apart() -> None:
    assert fingerprint(_alert(rule="")) != fingerprint(_alert(rule="", title="Scan"))


@given(st.lists(st.integers(min_value=-72, max_value=72), min_size=1, max_size=20))
def test_every_occurrence_is_counted_once_and_the_times_span_them(hours: list[int]) -> None:
    seen: list[_Seen] = []
    moments = [NOON + timedelta(hours=each) for each in hours]

    for moment in moments:
        fitting = joinable(seen, moment, window=DAY)
        if fitting is None:
            seen.append(_Seen(moment, moment))
        else:
            join(fitting, moment)

    assert sum(each.count for each in seen) == len(moments)
    assert min(each.first_seen for each in seen) == min(moments)
    assert max(each.last_seen for each in seen) == max(moments)


def test_the_window_is_closed_at_both_ends() -> None:
    seen = [_Seen(NOON, NOON)]

    assert joinable(seen, NOON + DAY, window=DAY) is seen[0]
    assert joinable(seen, NOON - DAY, window=DAY) is seen[0]
    assert joinable(seen, NOON + DAY + timedelta(microseconds=1), window=DAY) is None


@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 3)), max_size=5),
    st.randoms(),
)
def test_groups_do_not_depend_on_the_order_of_links(
    links: list[tuple[int, int]], adoptions: list[tuple[int, int]], random: Any
) -> None:
    def grouped(order: list[tuple[str, int, int]]) -> dict[int, int | UUID]:
        groups = Groups(20)
        for kind, one, other in order:
            if kind == "unite":
                groups.unite(one, other)
            else:
                groups.adopt(one, UUID(int=other))
        return dict(groups.moved())

    steps = [("unite", *link) for link in links] + [("adopt", *each) for each in adoptions]
    shuffled = list(steps)
    random.shuffle(shuffled)

    assert grouped(shuffled) == grouped(steps)
