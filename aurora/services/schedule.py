"""When something is due: cron lines and intervals, and what becomes of slots that were missed. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from enum import StrEnum
from itertools import takewhile
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from aurora.kernel.errors import InputError
from aurora.kernel.untrusted import quoted

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=366)

MOST = 1000
"""Slots made up at once: a scheduler that slept for a month does not flood the agents."""

ON_TIME = timedelta(minutes=1)
"""A slot that is noticed within it was not missed: twice as long as a scheduler sleeps."""

_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday, so that weekly slots begin the week
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_HORIZON_YEARS = 50
"""A cron line that names no day in so many years names none; a 29 February comes within 8."""

_SLACK = timedelta(hours=3)
"""Longer than a zone's clocks have ever been set forward or back at once, a skipped day aside."""


class ScheduleInvalid(InputError):
    """A schedule cannot be kept as it is written; the message says what would be right."""

    code = "aurora.input.schedule"


class CatchUp(StrEnum):
    """Which of the slots that nobody fired in time are made up."""

    LATEST = "latest"
    """The last of them, once."""
    ALL = "all"
    """All, the newest `MOST` at most."""
    NONE = "none"


class Timing(Protocol):
    """A set of moments. They do not depend on who counts them, nor since when."""

    def first_after(self, moment: datetime) -> datetime | None:
        """Return the first slot later than a moment; `None` if there will be none."""

    def newest(self, *, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """Return the slots later than `after` and no later than `until`, the newest `limit`, oldest first."""


@dataclass(frozen=True, slots=True)
class Every:
    """Slots an interval apart, counted from Monday, 1970-01-05, 00:00 UTC; so daily ones begin at midnight UTC.

    Raises:
        ScheduleInvalid: `every` is outside its range, no whole number of seconds, or not longer than `offset`.
    """

    every: timedelta
    offset: timedelta = timedelta()

    def __post_init__(self) -> None:
        if not SHORTEST <= self.every <= LONGEST:
            raise ScheduleInvalid(f"the interval must be from a minute to {LONGEST.days} days")
        if not timedelta() <= self.offset < self.every:
            raise ScheduleInvalid("the offset must be shorter than the interval, and not negative")
        if self.every.microseconds or self.offset.microseconds:
            raise ScheduleInvalid("interval and offset must be whole seconds")

    def first_after(self, moment: datetime) -> datetime:
        return self._last(moment) + self.every

    def newest(self, *, after: datetime, until: datetime, limit: int) -> list[datetime]:
        last = self._last(until)
        missed = max(0, (last - self._last(after)) // self.every)
        return [last - self.every * back for back in range(min(missed, limit) - 1, -1, -1)]

    def _last(self, moment: datetime) -> datetime:
        """Return the last slot that is no later than a moment."""
        start = _EPOCH + self.offset
        return start + (moment - start) // self.every * self.every


class Cron:
    """Slots that a cron line names, read in a time zone as Debian's cron reads it.

    Where clocks are set forward, a time of day that is skipped becomes the first moment after the gap; where they
    are set back, a time of day that comes twice counts once, the first time. If minute or hour begins with `*`, the
    line means "again and again": then skipped times are skipped, and times that come twice count twice.

    Args:
        expression: Five fields: minute, hour, day of month, month, day of week.
        timezone: IANA name.

    Raises:
        ScheduleInvalid: no such line, no such zone, or no day that fits.
    """

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        fields = expression.split()
        if len(fields) != 5:
            raise ScheduleInvalid(
                f"{quoted(expression[:80])} is no cron line: it needs five fields, minute hour day month weekday, "
                "such as '30 2 * * MON-FRI'"
            )
        try:
            self._parsed = CronSim(expression, _EPOCH)
        except CronSimError as error:
            fault = str(error).lower().removeprefix("bad ")
            raise ScheduleInvalid(
                f"{quoted(expression[:80])} is no cron line: the field for the {fault} cannot be read or never fits"
            ) from None
        self._zone = zone(timezone)
        self._repeats = fields[0].startswith("*") or fields[1].startswith("*")
        self._times = tuple(
            timedelta(hours=hour, minutes=minute)
            for hour in sorted(self._parsed.hours)
            for minute in sorted(self._parsed.minutes)
        )
        if self.first_after(_EPOCH) is None:
            raise ScheduleInvalid(f"{quoted(expression[:80])} names a day that never comes")

    def first_after(self, moment: datetime) -> datetime | None:
        return next(self._walk(moment, None), None)

    def newest(self, *, after: datetime, until: datetime, limit: int) -> list[datetime]:
        span = _DAY
        while True:  # from the end backwards: `after` may be years ago
            start = max(after, until - span)
            found = list(takewhile(lambda slot: slot <= until, self._walk(start, until)))
            if start == after or len(found) >= limit:
                return found[-limit:]
            span *= 4

    def _walk(self, after: datetime, until: datetime | None) -> Iterator[datetime]:
        """Yield the slots later than `after` in order; those later than `until` may be left out."""
        last, waiting = after, list[datetime]()
        for day in self._days(after, until):
            # Times of a day may come after the next day has begun, where clocks are set back over midnight.
            known = bisect_right(waiting, self._start(day) - _SLACK)
            for slot in waiting[:known]:
                if slot > last:
                    yield slot
                    last = slot
            waiting = sorted({*waiting[known:], *self._of_day(day)})
        yield from (slot for slot in waiting if slot > last)

    def _days(self, after: datetime, until: datetime | None) -> Iterator[date]:
        day = after.astimezone(self._zone).date() - _DAY
        end = date(min(day.year + _HORIZON_YEARS, 9990), 1, 1)
        if until is not None:
            end = min(end, until.astimezone(self._zone).date() + _DAY)
        while day <= end:
            if day.month not in self._parsed.months:
                day = (day.replace(day=1) + 31 * _DAY).replace(day=1)
                continue
            if self._parsed.match_day(day):
                yield day
            day += _DAY

    def _start(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).astimezone(UTC)

    def _of_day(self, day: date) -> Sequence[datetime]:
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a time of day on the wall
        if self._is_plain(midnight):
            start = self._start(day)
            return [start + time for time in self._times]
        moments = self._all if self._repeats else self._first
        return [moment for time in self._times for moment in moments(midnight + time)]

    def _is_plain(self, midnight: datetime) -> bool:
        """Tell whether no clock is set on a day."""
        end = midnight + _DAY
        looks = (midnight, midnight + _DAY / 2, end, end.replace(fold=1))
        return len({look.replace(tzinfo=self._zone).utcoffset() for look in looks}) == 1

    def _all(self, wall: datetime) -> set[datetime]:
        """Return the moments at which a clock on the wall shows this: none, one or two."""
        found = set()
        for fold in (0, 1):
            moment = wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)
            if moment.astimezone(self._zone).replace(tzinfo=None, fold=0) == wall:
                found.add(moment)
        return found

    def _first(self, wall: datetime) -> Sequence[datetime]:
        """Return the first moment at which a clock on the wall shows this, or has jumped over it."""
        while not (found := self._all(wall)):
            wall += _MINUTE
        return [min(found)]


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about the slots since the last look."""

    fire: Sequence[datetime]
    """The oldest first."""
    passed: datetime
    """The slots up to here are done with once these are fired."""


def due(timing: Timing, catch_up: CatchUp, *, after: datetime, now: datetime) -> Due:
    """Return which slots to fire now.

    Args:
        timing: The slots.
        catch_up: What becomes of those that were missed.
        after: The slots up to here are done with.
        now: The moment.
    """
    found = timing.newest(after=after, until=now, limit=MOST if catch_up is CatchUp.ALL else 1)
    if not found:
        return Due((), after)
    newest = found[-1]
    if catch_up is CatchUp.NONE and now - newest > ON_TIME:
        return Due((), newest)
    return Due(found, newest)


def zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name.

    Raises:
        ScheduleInvalid: there is none of that name, here.
    """
    if name == "UTC":  # needs no database of zones
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ", such as Europe/Berlin or UTC"
    if not known:
        hint = "; this machine has no time zones at all: install tzdata"
    raise ScheduleInvalid(f"{quoted(name[:80])} is no time zone{hint}")
