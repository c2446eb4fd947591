"""Moments are aware, and time is injected."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from tests.house.rules.rule import Rule, calls, dotted_name

_NAIVE = {"datetime.utcnow", "datetime.utcfromtimestamp", "datetime.today", "date.today"}
_WALL = {"datetime.now", "time.time", "time.time_ns"}


class AwareMoments(Rule):
    """No naive moment, and no look at the wall clock outside the clock.

    Incident it prevents: the system that Aurora re-creates expires approvals by `utcnow()`. Naive
    moments compare with each other and with nothing else: read as local time on a host outside
    UTC, an approval stays open for hours after its end. And where code reads the clock itself, a
    test can only sleep.
    """

    # The one place where the wall clock is read.
    allowed: ClassVar[tuple[str, ...]] = ("aurora/kernel/clock.py",)

    def find(self, tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
        for call in calls(tree):
            name = ".".join(dotted_name(call.func).split(".")[-2:])
            if name in _NAIVE or (name == "datetime.now" and not call.args and not call.keywords):
                yield call.lineno, f"{name}() has no time zone: ask the injected Clock"
            elif name in _WALL:
                yield call.lineno, f"{name}() reads the wall clock: ask the injected Clock"
