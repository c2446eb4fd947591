"""What a service says on stderr while it runs, and how signals end it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurora.settings import Settings


class Teller:
    """Says what happens to a service: a sentence for people, or a line of JSON for programs.

    Args:
        settings: Of this command; its log goes the same way.
        as_json: Write JSON.
    """

    def __init__(self, settings: Settings, *, as_json: bool) -> None:
        from aurora.observability.logging import JsonHandler

        level = settings.observability.log_level
        self._json = JsonHandler(sys.stderr, tracebacks=level == "debug") if as_json else None
        if self._json is not None:
            logging.getLogger("aurora").handlers = [self._json]

    def say(self, event: str, sentence: str = "", **fields: Any) -> None:
        """Say that something happened, whatever the level of the log is.

        Args:
            event: Its name, for programs.
            sentence: For people; nothing is said to them without one.
            **fields: What belongs to it, for programs.
        """
        if self._json is not None:
            self._json.handle(
                logging.getLogger(__name__).makeRecord("aurora", logging.INFO, "", 0, event, (), None, extra=fields)
            )
            return
        if not sentence:
            return
        from aurora.cli._show import err, plain

        err().print(plain(sentence), soft_wrap=True)


class Signals:
    """What SIGINT and SIGTERM asked for: to drain, the second time to hurry, the third time to end at once."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.hurry = asyncio.Event()
        self.number = 0
        """The last signal; 0: none came."""

    @property
    def name(self) -> str:
        """The last signal, as people call it."""
        return signal.Signals(self.number).name if self.number else ""

    def caught(self, number: int) -> None:
        """Note a signal."""
        self.number = number
        if self.hurry.is_set():
            os._exit(128 + number)
        (self.hurry if self.drain.is_set() else self.drain).set()


@contextlib.contextmanager
def signals() -> Iterator[Signals]:
    """Catch SIGINT and SIGTERM while the context is open, in the place of what the border does with them."""
    found, loop = Signals(), asyncio.get_running_loop()
    with contextlib.ExitStack() as restoring:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not on Windows, and not beside the main thread: there the border's way stays.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, found.caught, int(number))
                restoring.callback(loop.remove_signal_handler, number)
        yield found
