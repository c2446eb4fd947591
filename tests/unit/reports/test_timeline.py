"""Bars that stand for what happened when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from aurora.reports.timeline import draw
from aurora.services.report_tally import Moments

MORNING = datetime(2026, 6, 16, 8, tzinfo=UTC)


def drawn(*moments: tuple[datetime | None, str], most: int = 60):
    counted = Moments()
    for moment, label in moments:
        counted.add(moment, label)
    return draw(counted, width=960, height=220, most=most), counted


@pytest.mark.parametrize(
    "length",
    [timedelta(seconds=each) for each in (0, 40, 18_000, 259_200, 7_776_000, 777_600_000)],
)
def test_bars_are_few_lie_within_the_drawing_and_count_every_alert(length):
    moments = [(MORNING + length * n / 100, "malicious" if n % 3 else "benign") for n in range(101)]

    timeline, _ = drawn(*moments)

    assert len(timeline.bars) <= 60
    assert sum(bar.total for bar in timeline.bars) == 101
    for bar in timeline.bars:
        assert timeline.left <= bar.x < bar.x + bar.width <= timeline.width
        assert bar.ends > bar.begins
        for part in bar.parts:
            assert 0 <= part.y < part.y + part.height <= timeline.base + 0.2
    places = [x for x, _, _ in timeline.marks]
    assert all(right - left >= 60 for left, right in pairwise(places)), "marks do not touch"


@pytest.mark.parametrize(("width", "most"), [(960, 60), (360, 24)], ids=["wide", "narrow"])
@pytest.mark.parametrize("hours", [1, 7, 20, 47, 49, 200, 5_000, 90_000])
def test_texts_of_the_time_axis_neither_touch_nor_leave_the_drawing(width, most, hours):
    counted = Moments()
    for part in range(50):
        counted.add(MORNING - timedelta(hours=1.5) + timedelta(hours=hours) * part / 49, "benign")

    timeline = draw(counted, width=width, height=200, most=most)

    ends = [x + 6 * len(text) for x, text, _ in timeline.marks]  # 11 units high, so 6 wide a character on average
    assert all(end < x for end, (x, _, _) in zip(ends, timeline.marks[1:], strict=False))
    assert ends[-1] <= width
    assert len(timeline.marks) >= 2


def test_the_length_of_a_bar_is_one_that_people_can_name():
    timeline, _ = drawn((MORNING, "benign"), (MORNING + timedelta(hours=20), "benign"))

    assert timeline.step == "30 minutes"
    assert timeline.bars[0].begins == MORNING


def test_one_malicious_alert_beside_a_thousand_others_is_seen():
    timeline, _ = drawn((MORNING, "malicious"), *[(MORNING, "benign")] * 5000)

    (bar,) = timeline.bars
    assert bar.parts[0].label == "malicious"
    assert bar.parts[0].height >= 2


def test_a_clock_that_stands_at_1970_does_not_squeeze_the_others():
    week = [(MORNING + timedelta(hours=n), "benign") for n in range(150)]

    timeline, _ = drawn((datetime(1970, 1, 1, tzinfo=UTC), "malicious"), *week)

    assert (timeline.early, timeline.late) == (1, 0)
    assert timeline.bars[0].begins >= MORNING - timedelta(days=1)
    assert sum(bar.total for bar in timeline.bars) == 150


def test_two_alerts_a_decade_apart_are_both_drawn():
    timeline, _ = drawn((MORNING, "benign"), (MORNING + timedelta(days=3650), "malicious"))

    assert (timeline.early, timeline.late) == (0, 0)
    assert sum(bar.total for bar in timeline.bars) == 2


def test_alerts_without_a_time_are_counted_and_not_drawn():
    timeline, moments = drawn((None, "benign"), (None, "benign"))

    assert timeline is None
    assert moments.unknown == 2


def test_bins_stay_few_however_long_the_time():
    moments = Moments(most=100)
    for day in range(5000):
        moments.add(MORNING + timedelta(days=day), "benign")

    assert len(moments.bins) <= 100
    assert sum(moments.bins.values()) == 5000
    assert (moments.first, moments.last) == (MORNING, MORNING + timedelta(days=4999))


def test_the_earliest_and_latest_moments_that_there_are_can_be_drawn():
    timeline, _ = drawn((datetime.min.replace(tzinfo=UTC), "benign"), (datetime.max.replace(tzinfo=UTC), "benign"))

    assert sum(bar.total for bar in timeline.bars) == 2
