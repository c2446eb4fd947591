"""Where a process under test dies: armed once, reached after some times, and then it is gone without a word."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

POINTS = {
    "committed": "task row committed, nobody notified",
    "notified": "notified, not claimed",
    "claimed": "claimed, not started",
    "node": "in the middle of a node",
    "unsaved": "node done, not checkpointed",
    "saved": "checkpointed, not settled",
    "settled": "settled, not acknowledged",
    "beat": "during a heartbeat",
}
"""Every point of the life of a task at which a process may die, in its order."""

_armed: dict[str, int] = {}


def arm(point: str | None, *, after: int) -> None:
    """Die at the `after`-th time that this process reaches the point."""
    _armed.clear()
    if point is not None:
        _armed[point] = after


def reach(point: str) -> None:
    """Die here if it is time."""
    left = _armed.get(point)
    if left is None:
        return
    _armed[point] = left - 1
    if left <= 1:
        os.kill(os.getpid(), signal.SIGKILL)


def before(owner: type, method: str, point: str, *, when: Callable[..., bool] = lambda *_a, **_k: True) -> None:
    """Have a method of a class reach a point before it runs, in this process."""
    original = getattr(owner, method)

    async def reaching(*arguments: Any, **options: Any) -> Any:
        if when(*arguments, **options):
            reach(point)
        return await original(*arguments, **options)

    setattr(owner, method, reaching)


def behind(owner: type, method: str, point: str, *, when: Callable[[Any], bool] = lambda _result: True) -> None:
    """Have a method of a class reach a point after it has run, in this process."""
    original = getattr(owner, method)

    async def reaching(*arguments: Any, **options: Any) -> Any:
        result = await original(*arguments, **options)
        if when(result):
            reach(point)
        return result

    setattr(owner, method, reaching)
