"""nats-py's client, with three habits of its own put right. Imports nats-py: only `nats_link` imports this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nats.aio import client as theirs
from nats.errors import SecureConnWantedError


class Client(theirs.Client):
    """A client that says at once when its connection ends.

    The methods are private to nats-py 2.16, which offers no others; the tests of the broker fail when they change.

    Args:
        must_encrypt: Send nothing to a server that does not offer TLS. nats-py encrypts only if the server asks
            for it, so that whoever sits between the two can read the password.
    """

    def __init__(self, *, must_encrypt: bool) -> None:
        super().__init__()
        self._must_encrypt = must_encrypt
        self.lost: Callable[[], None] = lambda: None
        """Called when the connection ends, whoever ends it."""

    def abort(self) -> None:
        """Drop the connection without a word: what was not sent yet must never be."""
        self._pending.clear()
        self._pending_data_size = 0
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def end(self) -> None:
        """Close it, and return when its tasks have ended; theirs only tells them to."""
        tasks = {self._reading_task, self._ping_interval_task, self._flusher_task}
        tasks |= {each._wait_for_msgs_task for each in self._subs.values()}  # noqa: SLF001 - nobody else knows them
        await self.close()
        if running := [each for each in tasks if each is not None and not each.done()]:
            await asyncio.wait(running)

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - nats-py's signature
        # Theirs tells nobody who waits for an answer, sends what is left over, and waits for a peer that is gone.
        self.lost()
        self.abort()
        await super()._close(status, do_cbs)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002
        if self._must_encrypt and initial_connection and not info.get("tls_required"):
            raise SecureConnWantedError
        await super()._process_info(info, initial_connection)

    async def _process_headers(self, headers: Any) -> dict[str, str] | None:
        # Theirs raises at a status line that is no UTF-8, which ends the reading of the connection without a
        # word: one message that somebody else has written would make every reader deaf.
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            return None
