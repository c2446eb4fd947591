"""Pytest fixtures for authors of content: `pytest_plugins = ["aurora.testing.fixtures"]` in `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from aurora.testing.clock import ManualClock

if TYPE_CHECKING:
    from aurora.testing.runtime import MemoryRuntime
    from aurora.testing.scripted import Reply, ScriptedChatModel


@pytest.fixture
def aurora_clock() -> ManualClock:
    """Return a clock that stands at noon of 2026-01-01, UTC, until `advance` moves it."""
    return ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def aurora_runtime() -> Callable[..., AbstractAsyncContextManager[MemoryRuntime]]:
    """Return `aurora.testing.open_runtime`: what opens a runtime that leaves nothing behind.

    Not an open runtime, because content, model and clock are the test's to choose::

        async def test_mail_is_judged(aurora_runtime, scripted_model):
            async with aurora_runtime(model=scripted_model("Hm.", {"suspicious": True, "reason": "…"})) as runtime:
                ended = await runtime.run("mail-watch", {"text": "…"})
    """
    from aurora.testing.runtime import open_runtime  # noqa: PLC0415 - imports SQLAlchemy

    return open_runtime


@pytest.fixture
def scripted_model() -> Iterator[Callable[..., ScriptedChatModel]]:
    """Return what makes scripted models, such as `scripted_model("a thought", {"label": "benign"})`.

    When the test ends, every script must be used up exactly, or the test fails.
    """
    from aurora.testing.scripted import ScriptedChatModel  # noqa: PLC0415 - imports LangChain

    made: list[ScriptedChatModel] = []

    def make(*replies: Reply, tokens: tuple[int, int] | None = (100, 20)) -> ScriptedChatModel:
        made.append(ScriptedChatModel(replies, tokens=tokens))
        return made[-1]

    yield make
    for model in made:
        model.assert_used()
