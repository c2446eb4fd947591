"""When slots are due: intervals, cron lines in time zones, clocks that are set, and what was missed. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from aurora.services.schedule import MOST, ON_TIME, CatchUp, Cron, Every, ScheduleInvalid, Timing, due
from tests.conftest import NOON

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def slots(timing: Timing, first: datetime, last: datetime) -> list[datetime]:
    """Return all slots from a moment to another, both included."""
    return timing.newest(after=first - timedelta(microseconds=1), until=last, limit=10_000)


def walls(timing: Timing, zone: str, first: datetime, last: datetime) -> list[str]:
    """Return what a clock on the wall shows at each slot."""
    return [each.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z") for each in slots(timing, first, last)]


class TestIntervals:
    def test_daily_slots_begin_at_midnight_utc_and_weekly_ones_on_monday(self) -> None:
        assert Every(DAY).first_after(NOON) == datetime(2026, 11, 23, tzinfo=UTC)
        assert Every(7 * DAY).first_after(NOON).weekday() == 0

    def test_an_offset_moves_them(self) -> None:
        assert Every(DAY, 2 * HOUR).first_after(NOON) == datetime(2026, 11, 23, 2, tzinfo=UTC)

    def test_a_slot_is_not_after_itself(self) -> None:
        assert Every(HOUR).first_after(NOON) == NOON + HOUR

    @pytest.mark.parametrize(
        ("every", "offset", "fault"),
        [
            (timedelta(seconds=59), timedelta(), "from a minute"),
            (timedelta(days=367), timedelta(), "from a minute"),
            (HOUR, HOUR, "shorter than the interval"),
            (HOUR, -HOUR, "not negative"),
            (timedelta(hours=1, milliseconds=1), timedelta(), "whole seconds"),
        ],
    )
    def test_one_that_cannot_be_kept_is_refused(self, every: timedelta, offset: timedelta, fault: str) -> None:
        with pytest.raises(ScheduleInvalid, match=fault):
            Every(every, offset)


class TestCronLines:
    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            ("* * * *", "five fields"),
            ("0 * * * * *", "five fields"),
            ("@daily", "five fields"),
            ("61 * * * *", "the minute"),
            ("0 24 * * *", "the hour"),
            ("0 0 30 2 *", "the day-of-month"),
            ("0 0 * * XYZ", "the day-of-week"),
        ],
    )
    def test_a_line_that_is_none_is_refused_with_the_field_at_fault(self, line: str, fault: str) -> None:
        with pytest.raises(ScheduleInvalid, match=fault):
            Cron(line)

    def test_a_day_that_never_comes_is_refused(self) -> None:
        with pytest.raises(ScheduleInvalid, match="never"):
            Cron("0 0 31 4,6 *")

    @pytest.mark.parametrize("name", ["Berlin", "America", "../../etc/passwd", "", "Europe/\x00"])
    def test_a_zone_that_is_none_is_refused(self, name: str) -> None:
        with pytest.raises(ScheduleInvalid, match="no time zone"):
            Cron("0 0 * * *", name)

    def test_a_zone_that_is_nearly_one_is_named(self) -> None:
        with pytest.raises(ScheduleInvalid, match="Europe/Berlin"):
            Cron("0 0 * * *", "Europe/Berlinn")

    def test_the_29th_of_february_is_waited_for(self) -> None:
        assert Cron("0 0 29 2 *").first_after(NOON) == datetime(2028, 2, 29, tzinfo=UTC)


class TestClocksThatAreSet:
    """Europe/Berlin: forward on 29 March 2026 at 02:00, back on 25 October 2026 at 03:00."""

    spring = (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC))
    autumn = (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC))

    def test_a_time_of_day_that_is_skipped_becomes_the_first_moment_after_the_gap(self) -> None:
        found = walls(Cron("30 2 * * *", "Europe/Berlin"), "Europe/Berlin", *self.spring)

        assert found == ["29 03:00 +0200", "30 02:30 +0200"]

    def test_two_times_in_one_gap_are_one_slot(self) -> None:
        found = walls(Cron("10,50 2 * * *", "Europe/Berlin"), "Europe/Berlin", *self.spring)

        assert found == ["29 03:00 +0200", "30 02:10 +0200", "30 02:50 +0200"]

    def test_a_time_of_day_that_comes_twice_counts_once(self) -> None:
        found = walls(Cron("30 2 * * *", "Europe/Berlin"), "Europe/Berlin", *self.autumn)

        assert found == ["25 02:30 +0200", "26 02:30 +0100"]

    def test_again_and_again_skips_the_gap(self) -> None:
        found = walls(Cron("*/30 1-3 * * *", "Europe/Berlin"), "Europe/Berlin", *self.spring)

        assert [each for each in found if each.startswith("29")] == [
            "29 01:00 +0100",
            "29 01:30 +0100",
            "29 03:00 +0200",
            "29 03:30 +0200",
        ]

    def test_again_and_again_runs_through_both_passes(self) -> None:
        found = walls(Cron("0 * * * *", "Europe/Berlin"), "Europe/Berlin", *self.autumn)

        assert found.index("25 02:00 +0100") == found.index("25 02:00 +0200") + 1
        moments = slots(Cron("0 * * * *", "Europe/Berlin"), *self.autumn)
        assert {later - sooner for sooner, later in pairwise(moments)} == {HOUR}

    def test_clocks_that_are_set_back_over_midnight_lose_no_slot(self) -> None:
        """St. John's, 7 November 2010: from 00:01 back to 23:01 of the day before."""
        span = (datetime(2010, 11, 6, 12, tzinfo=UTC), datetime(2010, 11, 7, 12, tzinfo=UTC))

        found = slots(Cron("*/30 * * * *", "America/St_Johns"), *span)

        assert {later - sooner for sooner, later in pairwise(found)} == {HOUR / 2}

    def test_a_day_that_a_zone_skipped_fires_when_it_was_over(self) -> None:
        """Samoa had no 30 December 2011."""
        span = (datetime(2011, 12, 29, 12, tzinfo=UTC), datetime(2011, 12, 31, tzinfo=UTC))

        found = walls(Cron("0 9 * * *", "Pacific/Apia"), "Pacific/Apia", *span)

        assert found == ["29 09:00 -1000", "31 00:00 +1400", "31 09:00 +1400"]

    def test_a_midnight_that_does_not_exist_is_passed_at_one(self) -> None:
        """Havana sets its clocks forward at midnight."""
        span = (datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 9, 3, tzinfo=UTC))

        assert walls(Cron("0 0 * * *", "America/Havana"), "America/Havana", *span) == ["08 01:00 -0400"]


LINES = st.one_of(
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "0 9 * * MON-FRI", "0 0 L * *", "0 12 * * 1#2"]),
    st.builds(
        lambda minute, hour, day: f"{minute} {hour} {day} * *",
        st.integers(0, 59),
        st.one_of(st.just("*"), st.just("*/5"), st.integers(0, 23)),
        st.one_of(st.just("*"), st.integers(1, 28)),
    ),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
INTERVALS = st.builds(
    lambda minutes, share: Every(timedelta(minutes=minutes), timedelta(seconds=int(60 * minutes * share))),
    st.integers(1, 10_000),
    st.floats(0, 0.99),
)
TIMINGS = st.one_of(INTERVALS, st.builds(Cron, LINES, ZONES))
STARTS = st.integers(0, 400 * 86_400).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
NAPS = st.lists(
    st.one_of(st.integers(0, 120), st.integers(0, 3 * 86_400), st.integers(0, 40 * 86_400)), min_size=1, max_size=12
)


@given(line=LINES, zone=ZONES, start=STARTS)
def test_a_cron_line_means_what_cronsim_reads_in_it(line: str, zone: str, start: datetime) -> None:
    theirs = CronSim(line, start.astimezone(UTC if zone == "UTC" else ZoneInfo(zone)))
    expected: list[datetime] = []
    while len(expected) < 20:
        slot = next(theirs).astimezone(UTC)
        if slot > start and slot not in expected:
            expected.append(slot)

    timing, moment, found = Cron(line, zone), start, []
    for _ in range(20):
        moment = timing.first_after(moment)
        found.append(moment)

    assert found == expected


@given(timing=TIMINGS, start=STARTS, middle=st.integers(0, 20 * 86_400), rest=st.integers(0, 20 * 86_400))
def test_slots_do_not_depend_on_who_counts_them_nor_since_when(
    timing: Timing, start: datetime, middle: int, rest: int
) -> None:
    cut = start + timedelta(seconds=middle)
    end = cut + timedelta(seconds=rest)

    whole = timing.newest(after=start, until=end, limit=100_000)

    parts = [*timing.newest(after=start, until=cut, limit=100_000), *timing.newest(after=cut, until=end, limit=100_000)]
    assert parts == whole == sorted(set(whole))
    assert timing.newest(after=start, until=end, limit=3) == whole[-3:]
    if whole:
        assert timing.first_after(start) == whole[0]


@given(timing=TIMINGS, start=STARTS, naps=NAPS)
def test_with_all_every_slot_is_fired_once_up_to_the_bound_whenever_somebody_wakes(
    timing: Timing, start: datetime, naps: list[int]
) -> None:
    fired, passed, now, expected = list[datetime](), start, start, list[datetime]()
    for nap in naps:
        before, now = now, now + timedelta(seconds=nap)
        found = due(timing, CatchUp.ALL, after=passed, now=now)
        fired += found.fire
        passed = found.passed
        expected += timing.newest(after=before, until=now, limit=MOST)

    assert fired == expected
    assert len(fired) == len(set(fired))


@given(timing=TIMINGS, start=STARTS, naps=NAPS, catch_up=st.sampled_from([CatchUp.LATEST, CatchUp.NONE]))
def test_with_latest_or_none_at_most_one_slot_is_fired_for_each_gap(
    timing: Timing, start: datetime, naps: list[int], catch_up: CatchUp
) -> None:
    passed, now = start, start
    for nap in naps:
        before, now = now, now + timedelta(seconds=nap)
        found = due(timing, catch_up, after=passed, now=now)
        newest = timing.newest(after=before, until=now, limit=1)

        is_late = bool(newest) and catch_up is CatchUp.NONE and now - newest[0] > ON_TIME
        assert list(found.fire) == ([] if is_late else newest)
        assert found.passed == (newest[0] if newest else passed)
        passed = found.passed


class TestWhatWasMissed:
    def test_after_a_month_asleep_the_slots_that_are_made_up_are_bounded(self) -> None:
        found = due(Every(timedelta(minutes=1)), CatchUp.ALL, after=NOON, now=NOON + 30 * DAY)

        assert (len(found.fire), found.fire[-1], found.passed) == (MOST, NOON + 30 * DAY, NOON + 30 * DAY)

    def test_a_clock_that_was_set_back_fires_nothing_twice(self) -> None:
        for catch_up in CatchUp:
            found = due(Every(HOUR), catch_up, after=NOON, now=NOON - 3 * HOUR)
            assert (list(found.fire), found.passed) == ([], NOON)

    def test_with_none_a_slot_that_is_noticed_in_time_is_fired(self) -> None:
        found = due(Every(HOUR), CatchUp.NONE, after=NOON - HOUR, now=NOON + ON_TIME)

        assert list(found.fire) == [NOON]
