"""When two records are the same alert: fingerprint and sliding window. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import orjson

from aurora.kernel.models import Alert


class Seen(Protocol):
    """An alert that occurrences may join."""

    first_seen: datetime
    last_seen: datetime
    count: int


SeenT = TypeVar("SeenT", bound=Seen)


def fingerprint(alert: Alert) -> str:
    """Return the identity of an alert across occurrences: 64 hex digits.

    SHA-256 over canonical JSON of the product's rule, the set of entities and the sorted observables.
    Another host, user or address is another alert; another time, port or process id is not.
    """
    identity = {
        "source": alert.source,
        "rule": alert.rule or str.__str__(alert.title),
        "entities": sorted({(each.type, each.value) for each in alert.entities}),
        "observables": sorted({(each.type, each.value) for each in alert.observables}),
    }
    return hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()


def joinable(candidates: Iterable[SeenT], at: datetime, *, window: timedelta) -> SeenT | None:
    """Return the alert whose window holds an occurrence at `at`, the most recent one if several do."""
    fitting = [each for each in candidates if each.first_seen - window <= at <= each.last_seen + window]
    return max(fitting, key=lambda each: each.last_seen, default=None)


def overlapping(candidates: Iterable[SeenT], *, window: timedelta) -> list[list[SeenT]]:
    """Return the groups of those that are one alert by the rule of `joinable`, the earliest first; none of one.

    Alerts a few days apart become one when an occurrence from between arrives late: it joins the later
    one, whose window then reaches the earlier.
    """
    groups: list[list[SeenT]] = []
    end: datetime | None = None
    for each in sorted(candidates, key=lambda seen: seen.first_seen):
        if end is not None and each.first_seen <= end + window:
            groups[-1].append(each)
            end = max(end, each.last_seen)
        else:
            groups.append([each])
            end = each.last_seen
    return [group for group in groups if len(group) > 1]


def join(seen: Seen, at: datetime) -> None:
    """Count a further occurrence."""
    seen.count += 1
    seen.first_seen = min(seen.first_seen, at)
    seen.last_seen = max(seen.last_seen, at)
