"""Moments in the spellings that security products use."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_AMERICAN = ("%m/%d/%Y %I:%M:%S.%f %p", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S")
_LONGEST = 64
_SCALES = ((1e11, 1.0), (1e14, 1e-3), (1e17, 1e-6), (1e20, 1e-9))
"""Below so many units since 1970 the unit is so many seconds: seconds, then milli-, micro-, nanoseconds.

Seconds reach 1e11 in the year 5138, milliseconds 1e11 already in March 1973: no moment that a product
of today writes is ambiguous.
"""


def moment_of(value: object) -> datetime | None:
    """Return the moment in UTC, or `None` if `value` does not name one between 1970 and 2200.

    Reads ISO 8601 with any separator and zone (`2024-06-26T15:49:15.7860486Z`, `… 15:49:15+0000`), the
    American form of Microsoft's portals (`7/9/2024, 10:34:10 PM`), and numbers since 1970 in s, ms, µs or
    ns. A moment without a zone is UTC.
    """
    try:
        if isinstance(value, str):
            moment = _from_text(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            moment = _from_number(value)
        else:
            return None
        if moment is None:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _EARLIEST <= moment < _LATEST else None


def _from_text(text: str) -> datetime | None:
    if len(text) > _LONGEST:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        text = text.strip().replace(",", "")
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        # Eight digits are a date to `fromisoformat`; whatever it refuses is a count.
        return _from_number(float(text))
    for form in _AMERICAN:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller gives it its zone
        except ValueError:
            continue
    return None


def _from_number(number: float) -> datetime | None:
    if not math.isfinite(number) or number < 0:
        return None
    for limit, seconds in _SCALES:
        if number < limit:
            return datetime.fromtimestamp(number * seconds, UTC)
    return None
