"""Questions and answers over one connection to a NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson

from aurora.dispatch.brokers.nats_errors import ConnectionLost, Gone, Refused

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from aurora.dispatch.brokers.nats_client import Client

NOBODY = "503"
"""Status of a request that nobody serves."""

Request = tuple[str, bytes, Mapping[str, str] | None]
"""Subject, data and headers."""


class Connection:
    """Questions and answers over one connection. Once lost it never comes back: the next one is another object."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = ""
        self._numbers = count()
        self._answers: dict[str, asyncio.Future[Msg | None]] = {}
        self.known: dict[Any, Any] = {}
        """What its user knows to be on the server."""
        self.feeds: dict[Any, Any] = {}
        """What its user listens with."""
        self.ears: list[asyncio.Event] = []
        """Set when the connection is lost."""
        self.is_lost = False
        self._complaint: Exception | None = None

    @property
    def server(self) -> str:
        version = self._client.connected_server_version
        return f"nats {version.major}.{version.minor}.{version.patch}"

    @property
    def max_payload(self) -> int:
        """Bytes of the largest message that the server takes, as it says."""
        return self._client.max_payload

    def check(self) -> None:
        """Raise `ConnectionLost` if it is."""
        if self.is_lost:
            raise self._complaint or ConnectionLost

    async def listen(self) -> None:
        """Begin to hear answers."""
        self._inbox = await self.subscribe(self._hear)

    async def complain(self, error: Exception) -> None:
        """Hear of an error that belongs to no request. Of these, only a missing permission says what to do.

        nats-py would log the others, and whoever waits for an answer is told anyway.
        """
        if "permissions violation" in str(error).lower():
            self._complaint = error
            self.lose()

    async def subscribe(self, hear: Callable[[Msg], Awaitable[None]]) -> str:
        """Let `hear` have everything that is sent to an address, which is returned, plus a token."""
        self.check()
        address = f"{self._client.new_inbox()}."
        await self._client.subscribe(f"{address}*", cb=hear)
        return address

    async def tell(
        self, subject: str, data: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send and wait for nothing."""
        self.check()
        await self._client.publish(subject, data, reply=reply, headers=dict(headers) if headers else None)

    async def ask(self, requests: Sequence[Request]) -> list[Msg]:
        """Send requests all at once and return their answers in that order.

        Raises:
            ConnectionLost: whether the server got them is unknown.
        """
        loop = asyncio.get_running_loop()
        waiting = {str(next(self._numbers)): loop.create_future() for _ in requests}
        self._answers.update(waiting)
        try:
            for token, (subject, data, headers) in zip(waiting, requests, strict=True):
                await self.tell(subject, data, reply=self._inbox + token, headers=headers)
            heard = [await answer for answer in waiting.values()]
        finally:
            for token in waiting:
                self._answers.pop(token, None)
        self.check()
        return heard

    async def api(self, verb: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the management of JetStream, such as `STREAM.INFO.AURORA`.

        Raises:
            Refused: it said no.
        """
        (answer,) = await self.ask([(f"$JS.API.{verb}", orjson.dumps(content or {}), None)])
        if status(answer) == NOBODY:
            raise Refused({"code": 503, "err_code": 10076})
        return body(answer)

    def lose(self) -> None:
        """Give it up: whoever waits for an answer is told at once."""
        if self.is_lost:
            return
        self.is_lost = True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
        for ear in self.ears:
            ear.set()
        self._client.abort()

    async def end(self) -> None:
        """Give it up, and return when nothing is left of it."""
        self.lose()
        await self._client.end()

    async def _hear(self, message: Msg) -> None:
        answer = self._answers.get(message.subject[len(self._inbox) :])
        if answer is not None and not answer.done():
            answer.set_result(message)


def status(message: Msg) -> str:
    """Return the status of an answer without data, such as 404; empty if it is none."""
    return "" if message.data or not message.headers else str(message.headers.get("Status", ""))


def body(message: Msg) -> dict[str, Any]:
    """Return an answer of JetStream.

    Raises:
        Gone: nobody answered for the stream.
        Refused: it said no.
    """
    if status(message) == NOBODY:
        raise Gone
    content = orjson.loads(message.data)
    if "error" in content:
        raise Refused(content["error"])
    return dict(content)
