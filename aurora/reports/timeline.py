"""When alerts happened, as bars: numbers for an SVG. No text from outside comes here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, log10

from aurora.services.report_tally import LABELS, Moments

_HOUR, _DAY = 3600, 86_400
_STEPS = (
    *(60, 120, 300, 600, 900, 1800),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 91 * _DAY, 182 * _DAY, 364 * _DAY),
)  # fmt: skip
"""Lengths of a bar that people can name."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_TOP, _FOOT, _LEFT, _RIGHT = 12, 26, 44, 8
_SPACING = 70
"""Between marks of the time axis."""
_CHARACTER, _GAP = 6.4, 10
"""Width of a character in the marks' 11 units, rather too wide for any system's font, and room between two texts."""
_DRAWN = 0.97
"""Share of the alerts that must be drawn."""
_LEAST = 2.0
"""Height of the smallest bar, in units of the drawing: one malicious alert beside a thousand must be seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """The alerts of one verdict within a bar."""

    label: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time."""

    x: float
    width: float
    begins: datetime
    ends: datetime
    total: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drawing: its size, its bars and its axes."""

    width: int
    height: int
    left: int
    base: float
    """Where bars stand."""
    step: str
    """Length of a bar in words."""
    bars: tuple[Bar, ...]
    marks: tuple[tuple[float, str, str], ...]
    """Of the time axis: place, text, and how it is aligned."""
    rules: tuple[tuple[float, str], ...]
    """Of the count axis: height and number."""
    early: int
    """Alerts that lie so far before the others that they are left out."""
    late: int


def draw(moments: Moments, *, width: int, height: int, most: int) -> Timeline | None:
    """Return the drawing of when alerts happened, at most `most` bars; `None` if no alert says when."""
    if moments.first is None or moments.last is None:
        return None
    first, last = _window(moments)
    spans = (last - first + 1) * moments.width_s
    step = next((each for each in _STEPS if spans / each < most - 1), None)
    if step is None:
        step = ceil(spans / (most - 1) / (364 * _DAY)) * 364 * _DAY
    counts = _counted(moments, step, first, last)
    begin, end = min(counts), max(counts) + 1
    if end - begin < most // 4:  # a few fat bars say less than thin ones in their place
        spare = most // 4 - (end - begin)
        begin, end = begin - spare // 2, end + (spare - spare // 2)
    slot = (width - _LEFT - _RIGHT) / (end - begin)
    base = float(height - _FOOT)
    top = _nice(max(each.total() for each in counts.values()))
    scale = (base - _TOP) / top
    bars = tuple(
        Bar(
            x=round(_LEFT + (number - begin) * slot + min(1.5, slot * 0.1), 1),
            width=round(slot - min(3.0, slot * 0.2), 1),
            begins=_moment(number * step),
            ends=_moment((number + 1) * step),
            total=counts[number].total(),
            parts=tuple(_parts(counts[number], base, scale)),
        )
        for number in sorted(counts)
    )
    outside = [(number, count) for (number, _), count in moments.bins.items()]
    return Timeline(
        early=sum(count for number, count in outside if number < first),
        late=sum(count for number, count in outside if number > last),
        width=width,
        height=height,
        left=_LEFT,
        base=base,
        step=_named(step),
        bars=bars,
        marks=tuple(_marks(begin, end, step, slot, width)),
        rules=tuple((round(base - value * scale, 1), f"{value:,}") for value in _counts_shown(top)),
    )


def _window(moments: Moments) -> tuple[int, int]:
    """Return the first and the last bin to draw: all, unless a few outliers would squeeze the others.

    One clock that stands at 1970 must not make a line of a week.
    """
    totals: Counter[int] = Counter()
    for (number, _), count in moments.bins.items():
        totals[number] += count
    bins = sorted(totals)
    first, last = bins[0], bins[-1]
    wanted = totals.total() * _DRAWN
    inside, start, best = 0, 0, (first, last)
    for end in bins:
        inside += totals[end]
        while inside - totals[bins[start]] >= wanted:
            inside -= totals[bins[start]]
            start += 1
        if inside >= wanted and end - bins[start] < best[1] - best[0]:
            best = bins[start], end
    around = (best[1] - best[0]) // 4 + 1
    near = [number for number in bins if best[0] - around <= number <= best[1] + around]
    return (near[0], near[-1]) if (near[-1] - near[0]) * 2 < last - first else (first, last)


def _counted(moments: Moments, step: int, first: int, last: int) -> dict[int, Counter[str]]:
    """Return counts by bar; a bin that lies over the border of two counts where it begins."""
    counts: dict[int, Counter[str]] = {}
    for (number, label), count in moments.bins.items():
        if not first <= number <= last:
            continue
        counts.setdefault(number * moments.width_s // step, Counter())[label] += count
    return counts


def _parts(counts: Counter[str], base: float, scale: float) -> Iterator[Part]:
    """Yield the parts of a bar from the ground up, the worst verdict at the ground where it is compared best."""
    y = base
    for label in LABELS:
        if counts[label]:
            height = max(_LEAST, counts[label] * scale)
            y -= height
            yield Part(label, counts[label], round(y, 1), round(height, 1))


def _nice(value: int) -> int:
    """Return the next round number that is no smaller."""
    power = 10 ** int(log10(value))
    return next(int(power * each) for each in (1, 2, 3, 4, 5, 6, 8, 10) if power * each >= value)


def _counts_shown(top: int) -> list[int]:
    return [top // 2, top] if top % 2 == 0 else [top]


def _marks(begin: int, end: int, step: int, slot: float, width: int) -> Iterator[tuple[float, str, str]]:
    """Yield marks, each at the beginning of a bar; one whose text would touch its neighbour's is left out."""
    every = max(1, ceil(_SPACING / slot))
    days = (end - begin) * step > 2 * _DAY
    before, free = "", 0.0
    for number in range(begin, end, every):
        moment = _moment(number * step)
        day = f"{moment.day} {moment:%b %Y}" if step >= 7 * _DAY or number == begin else f"{moment.day} {moment:%b}"
        text = day if days and step >= _DAY else f"{moment:%H:%M}" if day == before else f"{day}, {moment:%H:%M}"
        x = _LEFT + (number - begin) * slot
        if free <= x <= width - len(text) * _CHARACTER:
            before = f"{moment.day} {moment:%b}" if number == begin else day
            free = x + len(text) * _CHARACTER + _GAP
            yield round(x, 1), text, "start"


def _moment(seconds: int) -> datetime:
    """Return the moment so many seconds after 1970; a bar may reach beyond the years that there are."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return _LAST if seconds > 0 else _FIRST


def _named(step: int) -> str:
    for length, one in ((7 * _DAY, "week"), (_DAY, "day"), (_HOUR, "hour"), (60, "minute")):
        if step % length == 0:
            number = step // length
            return f"one {one}" if number == 1 else f"{number} {one}s"
    return f"{step} seconds"
