"""Health checks are answered while the event loop hangs, and whatever the caller does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from aurora.kernel.clock import SystemClock
from aurora.kernel.errors import ConfigError
from aurora.observability.health import CONNECTIONS, LONGEST_REQUEST, LOOP_LIMIT, served
from aurora.observability.vitals import Sign, Vitals

pytestmark = pytest.mark.integration  # needs no server, but an address of this machine


@pytest.fixture
def vitals(clock) -> Vitals:
    """A worker that has just come round."""
    vitals = Vitals(clock=clock)
    vitals.show(Sign.LOOP)
    vitals.show(Sign.LOOK)
    return vitals


async def test_a_blocked_event_loop_is_told_while_it_is_blocked(vitals, clock):
    """The loop of this test does nothing but ask, and wait for the answer: only a thread can give it."""
    clock.advance(LOOP_LIMIT + timedelta(seconds=1))

    with _server(vitals) as port:
        status, body = _ask(port, "GET /livez HTTP/1.1\r\n\r\n")

    assert status == 503
    assert b"the event loop did not come round for 11 s" in body


@pytest.mark.parametrize(
    ("request_text", "status", "body"),
    [
        ("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 200, b'{"status": "live"}\n'),
        ("GET /livez?verbose=1 HTTP/1.0\r\n\r\n", 200, b'{"status": "live"}\n'),
        ("HEAD /livez HTTP/1.1\r\n\r\n", 200, b""),
        ("GET /metrics HTTP/1.1\r\n\r\n", 200, b"a page"),
        ("GET /etc/passwd HTTP/1.1\r\n\r\n", 404, b"there are /livez, /readyz and /metrics\n"),
        ("POST /livez HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405, b"only GET and HEAD\n"),
        ("hello\r\n\r\n", 400, None),
        ("GET /livez HTTP/2.0\r\n\r\n", 400, None),
        ("GET /livez \xff HTTP/1.1\r\n\r\n", 400, None),
    ],
)
def test_requests_are_answered_by_what_they_ask(vitals, request_text, status, body):
    with _server(vitals) as port:
        told = _ask(port, request_text)

    assert told[0] == status
    assert body is None or told[1] == body


def test_a_head_without_end_is_cut_off(vitals):
    with _server(vitals) as port:
        endless = _ask(port, "GET /livez HTTP/1.1\r\nX: " + "x" * LONGEST_REQUEST)
        after = _ask(port, "GET /livez HTTP/1.1\r\n\r\n")

    assert (endless[0], after[0]) == (400, 200)


def test_callers_that_say_nothing_do_not_pile_up_and_do_not_delay_the_end(vitals):
    before = threading.active_count()
    with _server(vitals) as port:
        silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(CONNECTIONS * 3)]
        turned_away = [caller for caller in silent[CONNECTIONS:] if _is_closed(caller)]
        threads = threading.active_count() - before
        for caller in silent:
            caller.close()

    assert len(turned_away) == CONNECTIONS * 2
    assert threads <= CONNECTIONS + 1


def test_a_port_that_is_taken_is_told_with_what_to_do(vitals):
    with _server(vitals) as port, pytest.raises(ConfigError, match="take another --health-port"), _server(vitals, port):
        pass


def test_the_port_is_free_again_afterwards():
    vitals = Vitals(clock=SystemClock())
    with _server(vitals) as port:
        pass

    with _server(vitals, port) as again:
        assert again == port


@contextmanager
def _server(vitals: Vitals, port: int = 0) -> Iterator[int]:
    with served(vitals, host="127.0.0.1", port=port, metrics=lambda: b"a page") as found:
        yield found


def _ask(port: int, text: str) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(text.encode("latin-1"))
        told = b"".join(iter(lambda: caller.recv(65536), b""))
    head, _, body = told.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def _is_closed(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except ConnectionResetError:
        return True
