"""A server on loopback that speaks OpenAI's chat completions protocol, and misbehaves as it is told to.

One connection carries one exchange: what comes after a broken reply is nobody's riddle.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

Body = dict[str, Any]
Write = Callable[[bytes], Awaitable[None]]
Behaviour = Callable[[Body, Write], Awaitable[None]]
"""Answers a request by writing bytes; when it returns, the connection is closed."""


class ScriptedServer:
    """Gives one behaviour to each request, the last one again and again."""

    def __init__(self, behaviours: Sequence[Behaviour]) -> None:
        self._behaviours = list(behaviours)
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.written = 0
        """Bytes of all replies."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write(data: bytes) -> None:
            writer.write(data)
            self.written += len(data)
            await writer.drain()

        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            body = await reader.readexactly(int(headers.get("content-length") or 0))
            self.requests.append(json.loads(body) if body else {"path": lines[0].split(" ")[1]})
            self.headers.append(headers)
            number = min(len(self.requests), len(self._behaviours)) - 1
            await self._behaviours[number](self.requests[-1], write)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up, as it should
        finally:
            writer.close()


@asynccontextmanager
async def scripted_server(*behaviours: Behaviour) -> AsyncIterator[ScriptedServer]:
    """Open a server that behaves so, and close it."""
    served = ScriptedServer(behaviours)
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await served.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def completion(
    text: Any = "Hm.", *, calls: Sequence[tuple[str, str]] = (), usage: Any = (100, 20), **message: Any
) -> Body:
    """Return a reply in the form of the protocol."""
    said: Body = {"role": "assistant", "content": text, **message}
    if calls:
        said["tool_calls"] = [
            {"id": f"id-{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    tokens = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": 1} if usage else None
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": said}],
        "usage": tokens,
    }


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} Scripted",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def says(document: Any, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Behaviour:
    """Send a document, or bytes as they are."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def behave(body: Body, write: Write) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await write(head(status, {"Content-Type": content_type, "Content-Length": str(len(data)), **named}) + data)

    return behave


def fails(status: int, words: str = "no", **headers: str) -> Behaviour:
    """Send an error in the form of the protocol."""
    return says({"error": {"message": words, "type": "scripted", "code": status}}, status=status, **headers)


def refuses(feature: str, otherwise: Body) -> Behaviour:
    """Refuse requests that use a feature, with 400, and answer others."""

    async def behave(body: Body, write: Write) -> None:
        reply = fails(400, f"'{feature}' is not supported") if feature in body else says(otherwise)
        await reply(body, write)

    return behave


async def resets(body: Body, write: Write) -> None:
    """Hang up without a word."""


async def hangs(body: Body, write: Write) -> None:
    """Take the request and never answer."""
    await asyncio.Event().wait()


async def drips(body: Body, write: Write) -> None:
    """Send a byte now and then, for ever."""
    await write(head(200, {"Content-Type": "application/json", "Content-Length": "1000000"}))
    while True:
        await write(b" ")
        await asyncio.sleep(0.02)


async def floods(body: Body, write: Write) -> None:
    """Send for ever, as fast as anybody reads."""
    await write(head(200, {"Content-Type": "application/json"}) + b'{"choices": [{"message": {"content": "')
    while True:
        await write(b"x" * 65536)
