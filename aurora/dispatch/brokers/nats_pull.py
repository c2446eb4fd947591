"""Draws messages from durable consumers: what is there at once, else the first that comes.

Written on JetStream's protocol and not on nats-py's `fetch`, which lets the ends of earlier requests count for later
ones, leaves a request behind that takes messages nobody waits for, and starts a task for every message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from aurora.dispatch.brokers.nats_connection import NOBODY, Connection, status
from aurora.dispatch.brokers.nats_errors import Gone, Refused
from aurora.dispatch.brokers.nats_streams import NAME
from aurora.kernel.ports.broker import Delivery, Stream

if TYPE_CHECKING:
    from nats.aio.msg import Msg

MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Of one request: nobody's messages fill our memory. Far more than a batch of ours."""

_RECEIPT = "$JS.ACK."
_ENDED = {"404", "408"}  # nothing is there; the time is up
_FULL = ("batch completed", "message size exceeds maxbytes")
_GONE = ("consumer deleted", "consumer not found", "stream deleted")
_AT_LEAST = 0.001
"""Seconds; a shorter wait is none."""


class Tap:
    """One subscription with one request at a time to one consumer."""

    def __init__(self, connection: Connection, consumer: str, arrived: deque[Msg], turned: asyncio.Event) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{NAME}.{consumer}"
        self._arrived = arrived
        self._turned = turned
        self._address = ""
        self._number = 0
        self._left = 0
        self._until = 0.0
        self._why: tuple[str, str] | None = None

    def check_open(self) -> bool:
        """Return whether the server may still send something.

        Raises:
            Gone: there is no such consumer.
            Refused: the server ended the request for a reason of its own.
        """
        self._connection.check()
        if self._why is not None:
            (code, text), self._why = self._why, None
            if code == NOBODY or text.startswith(_GONE):
                raise Gone
            if code not in _ENDED and not text.startswith(_FULL):
                # The server is busy or changes its leader: whatever it says, later is better than never.
                raise Refused({"code": 503, "description": text or code})
        return self._left > 0 and asyncio.get_running_loop().time() <= self._until

    async def draw(self, batch: int, *, wait: float | None) -> None:
        """Ask for messages: those that are there, or, with `wait` (in seconds), the first to come."""
        if not self._address:
            self._address = await self._connection.subscribe(self._hear)
        self._number += 1
        self._left, self._why = batch, None
        self._until = float("inf") if wait is None else asyncio.get_running_loop().time() + wait
        wanted: dict[str, object] = {
            "batch": batch,
            "max_bytes": max(MAX_BATCH_BYTES, 2 * self._connection.max_payload),
        }
        wanted |= {"no_wait": True} if wait is None else {"expires": int(wait * 1e9)}
        await self._connection.tell(self._subject, orjson.dumps(wanted), reply=f"{self._address}{self._number}")

    async def _hear(self, message: Msg) -> None:
        # Only JetStream's own receipts make a delivery: what it carries may call itself a status.
        if message.reply.startswith(_RECEIPT):
            self._arrived.append(message)
            self._left -= 1
        elif message.subject == f"{self._address}{self._number}" and (code := status(message)) != "100":
            self._left = 0
            self._why = (code, str((message.headers or {}).get("Description", "")).strip().lower())
        self._turned.set()


class Feed:
    """Messages of some consumers, the first ones first.

    Args:
        connection: Gone with it.
        consumers: Names.
    """

    def __init__(self, connection: Connection, consumers: Sequence[str]) -> None:
        self._arrived: deque[Msg] = deque()
        self._turned = asyncio.Event()
        connection.ears.append(self._turned)
        self._now = [Tap(connection, each, self._arrived, self._turned) for each in consumers]
        self._later = [Tap(connection, each, self._arrived, self._turned) for each in consumers]

    async def take(self, stream: Stream, *, limit: int, wait: timedelta) -> tuple[Delivery, ...]:
        """Return up to `limit` messages: those that are there, else what comes first within `wait`.

        To be called under a time-out: the server answers the first question at once, or not at all.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait.total_seconds()
        for tap in self._now:
            if len(self._arrived) >= limit:
                break
            await tap.draw(limit - len(self._arrived), wait=None)
            while tap.check_open():
                await self._turn()
        while not self._arrived and (left := deadline - loop.time()) > _AT_LEAST:
            self._turned.clear()
            for tap in self._later:
                if not tap.check_open():
                    await tap.draw(1, wait=left)
            try:
                async with asyncio.timeout_at(deadline):
                    await self._turned.wait()
            except TimeoutError:
                break
        return tuple(_delivery(stream, self._arrived.popleft()) for _ in range(min(limit, len(self._arrived))))

    async def _turn(self) -> None:
        self._turned.clear()
        await self._turned.wait()


def _delivery(stream: Stream, message: Msg) -> Delivery:
    receipt = message.reply.split(".")
    # $JS.ACK.<stream>.<consumer>.<times>…, or $JS.ACK.<domain>.<account>.<stream>.<consumer>.<times>…
    times = receipt[4] if len(receipt) == 9 else receipt[6]
    return Delivery(stream, message.data, message.reply, is_repeated=times != "1")
