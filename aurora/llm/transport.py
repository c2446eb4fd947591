"""HTTP for models: bodies have an end, nothing is followed, nothing is decompressed."""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from aurora.llm.errors import ModelGarbled, ModelTooLong

ENVELOPE_BYTES = 64 * 1024
"""What a response may hold beside the text of the answer."""

PLAIN_HEADERS = frozenset(
    {"host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "connection"}
)
"""All that a server needs that is not the provider's own."""

_CONNECT_S = 10.0


def is_local(url: str) -> bool:
    """Return whether a URL points to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def bounded_client(
    httpx: Any, *, url: str, max_bytes: int, deadline: timedelta, headers: frozenset[str] | None = None
) -> Any:
    """Return an asynchronous HTTP client that is safe to point at any server.

    Args:
        httpx: The library that the provider's client is built on: `httpx` or `httpx2`, which have one API.
        url: Where it will be used. A proxy of the environment is used too, except for this machine.
        max_bytes: Longest body that is read, `ENVELOPE_BYTES` aside.
        deadline: Longest silence of a server; callers bound the whole exchange.
        headers: Names, in lower case, of the request headers that may leave; `None`: all. Clients add what the
            environment holds for their own provider.
    """
    proxy = None if is_local(url) else _proxy_of(url)
    inner = httpx.AsyncHTTPTransport(proxy=proxy, trust_env=not is_local(url))
    return httpx.AsyncClient(
        transport=_bounded(httpx, inner, max_bytes + ENVELOPE_BYTES, headers),
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(deadline.total_seconds(), connect=min(_CONNECT_S, deadline.total_seconds())),
        headers={"Accept-Encoding": "identity"},
    )


def _proxy_of(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _bounded(httpx: Any, inner: Any, max_bytes: int, headers: frozenset[str] | None) -> Any:
    """Return a transport around `inner`. The classes are made here because their base is the caller's library."""

    class BoundedStream(httpx.AsyncByteStream):  # type: ignore[misc]  # the base is known at run time
        """Reads a body up to its bound."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in self._stream:
                size += len(chunk)
                if size > max_bytes:
                    raise ModelTooLong(f"the server sent more than {max_bytes:,} bytes", limit_bytes=max_bytes)
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    class BoundedTransport(httpx.AsyncBaseTransport):  # type: ignore[misc]  # as above
        """Hands out bounded bodies."""

        async def handle_async_request(self, request: Any) -> Any:
            sent = request
            if headers is not None:  # of a copy: the client reads its own headers again
                kept = [(name, value) for name, value in request.headers.raw if name.decode().lower() in headers]
                sent = httpx.Request(
                    request.method, request.url, headers=kept, stream=request.stream, extensions=request.extensions
                )
            response = await inner.handle_async_request(sent)
            if response.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
                # A kilobyte may unpack to a gigabyte; we asked for plain bytes.
                await response.aclose()
                raise ModelGarbled("the server compressed its answer, though it was asked not to")
            response.stream = BoundedStream(response.stream)
            return response

        async def aclose(self) -> None:
            await inner.aclose()

    return BoundedTransport()
