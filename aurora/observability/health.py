"""Whether a worker is alive and ready, told over HTTP from a thread of its own: also while its event loop hangs."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from aurora.kernel.errors import ConfigError
from aurora.observability.vitals import Dependency, Sign, Vitals

LOOP_LIMIT = timedelta(seconds=10)
"""An event loop that did not come round for as long as a lease lasts has lost what it held."""

LOOK_LIMIT = timedelta(seconds=30)
"""Looks are a second apart; a claim that waits for a locked SQLite may take 20."""

ASKED_LIMIT = timedelta(seconds=15)
"""What a dependency said longer ago is not the truth any more."""

LONGEST_REQUEST = 8192
"""Bytes of a request's head."""

PATIENCE_S = 5.0
"""For one connection, from accept to close: monitors ask within milliseconds."""

CONNECTIONS = 8
"""Served at once; one more is closed unheard."""

JSON, TEXT = "application/json", "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


def livez(vitals: Vitals) -> tuple[bool, dict[str, Any]]:
    """Tell whether the process works; if not, only a restart helps. What is outside the process does not count."""
    reasons = [
        reason
        for sign, limit, what in (
            (Sign.LOOP, LOOP_LIMIT, "the event loop did not come round"),
            (Sign.LOOK, LOOK_LIMIT, "nobody looked for work in the ledger"),
        )
        if (reason := _overdue(vitals, sign, limit, what)) and not (sign is Sign.LOOK and vitals.is_draining)
    ]
    return not reasons, {"status": "not live" if reasons else "live", **({"reasons": reasons} if reasons else {})}


def readyz(vitals: Vitals) -> tuple[bool, dict[str, Any]]:
    """Tell whether it takes work, with what it depends on one by one. Only what is needed decides."""
    checks: dict[str, Any] = {}
    is_live, life = livez(vitals)
    checks["process"] = {"status": "up" if is_live else "down", "needed": True}
    if not is_live:
        checks["process"]["detail"] = "; ".join(life["reasons"])
    for each in vitals.dependencies():
        checks[each.name] = _check(vitals, each)
    checks.setdefault("database", {"status": "unknown", "needed": True, "detail": "not asked yet"})
    for name, circuit in vitals.circuits.items():
        checks.setdefault(name, {"status": "not asked", "needed": False})["circuit"] = circuit.state
    is_ready = not vitals.is_draining and all(each["status"] == "up" for each in checks.values() if each["needed"])
    status = "draining" if vitals.is_draining else "ready" if is_ready else "not ready"
    return is_ready, {"status": status, "running": vitals.running, "checks": checks}


def _overdue(vitals: Vitals, sign: Sign, limit: timedelta, what: str) -> str:
    age = vitals.age(sign)
    silent = vitals.uptime if age is None else age
    return f"{what} for {silent.total_seconds():.0f} s" if silent > limit else ""


def _check(vitals: Vitals, found: Dependency) -> dict[str, Any]:
    age = vitals.since(found.asked)
    status = "unknown" if age > ASKED_LIMIT else "up" if found.is_up else "down"
    document = {"status": status, "needed": found.is_needed, "asked_s_ago": round(age.total_seconds(), 1)}
    return {**document, "detail": found.detail} if found.detail else document


def answer(vitals: Vitals, path: str, *, metrics: Callable[[], bytes]) -> Answer:
    """Return what is said to a request for a path."""
    if path in {"/livez", "/readyz"}:
        is_well, document = (livez if path == "/livez" else readyz)(vitals)
        return 200 if is_well else 503, JSON, json.dumps(document).encode() + b"\n"
    if path == "/metrics":
        return 200, "text/plain; version=0.0.4; charset=utf-8", metrics()
    return 404, TEXT, b"there are /livez, /readyz and /metrics\n"


@contextmanager
def served(vitals: Vitals, *, host: str, port: int, metrics: Callable[[], bytes]) -> Iterator[int]:
    """Answer `/livez`, `/readyz` and `/metrics` from a thread while the context is open; yield the port.

    Args:
        vitals: Of the worker.
        host: Address to listen on.
        port: 0 is any that is free.
        metrics: Returns the page of metrics; called in a thread.

    Raises:
        ConfigError: nobody can listen there.
    """

    def reply(path: str) -> Answer:
        return answer(vitals, path, metrics=metrics)

    try:
        server = _Server(host, port, reply)
    except (OSError, OverflowError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise ConfigError(
            f"cannot answer health checks on {host}:{port}: {why}; take another --health-port or --health-host"
        ) from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True)
    with server:
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    """One thread for each connection, and few of them."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, host: str, port: int, reply: Callable[[str], Answer]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.reply = reply
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((host, port), _Connection)

    def verify_request(self, request: object, client_address: object) -> bool:
        return self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that goes away, or is too slow, is nothing to report."""


class _Connection(socketserver.BaseRequestHandler):
    """One request, one answer. Not `http.server`: that has a limit for each read, but none for all of them."""

    server: _Server

    def handle(self) -> None:
        ends = time.monotonic() + PATIENCE_S
        status, kind, body = 400, TEXT, b"this is no request that is answered here\n"
        method, _, rest = self._head(ends).partition(b" ")
        target, _, version = rest.partition(b" ")
        if version.startswith(b"HTTP/1."):
            if method in {b"GET", b"HEAD"}:
                status, kind, body = self.server.reply(target.partition(b"?")[0].decode("ascii", "replace"))
            else:
                status, body = 405, b"only GET and HEAD\n"
        allow = "Allow: GET, HEAD\r\n" if status == 405 else ""
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"{allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self.request.settimeout(max(0.001, ends - time.monotonic()))
        self.request.sendall(head.encode() + (b"" if method == b"HEAD" else body))

    def _head(self, ends: float) -> bytes:
        """Return the first line of the request; empty if the head is too long."""
        head = b""
        while b"\r\n\r\n" not in head:
            if len(head) > LONGEST_REQUEST:
                return b""
            self.request.settimeout(max(0.001, ends - time.monotonic()))
            part = self.request.recv(LONGEST_REQUEST)
            if not part:
                return b""
            head += part
        return head.partition(b"\r\n")[0]


_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
