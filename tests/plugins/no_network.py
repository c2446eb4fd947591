"""Pytest plugin: a test that reaches for the network fails, even if it swallows the error.

Unix sockets are always allowed: the event loop and the PostgreSQL of the integration tests
use them. Tests marked `integration` may also talk to this machine's own addresses.

The guard is an audit hook (PEP 578): it sees every socket of the process, whichever library
opened it, and nothing has to be patched or put back.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator

import pytest


class NetworkForbidden(RuntimeError):
    """A test tried to talk to an address it may not talk to."""


class _Guard:
    """What the running test may do, and what it tried to do."""

    def __init__(self) -> None:
        self.active = False
        self.allows_loopback = False
        self.forgives = False
        self.violations: list[str] = []

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active:
            return
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            opened, address = arguments
            if isinstance(opened, socket.socket) and opened.family != socket.AF_UNIX and address is not None:
                self.judge(address[0] if isinstance(address, tuple) else address)
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            self.judge(arguments[0])

    def judge(self, host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if self.allows_loopback and _is_loopback(name):
            return
        self.violations.append(name)
        raise NetworkForbidden(f"a test reached for {name!r}: the network is off; use a fake, or mark it integration")


def _is_loopback(host: str) -> bool:
    if host in {"localhost", "", "None"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_guard = _Guard()


def pytest_configure() -> None:
    """Install the hook once; hooks cannot be removed, so it is switched instead."""
    if not getattr(sys, "_aurora_network_guard", False):
        sys.addaudithook(_guard.hook)
        sys._aurora_network_guard = True  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Switch the guard on for the whole life of a test, its fixtures included."""
    _guard.active = True
    _guard.allows_loopback = item.get_closest_marker("integration") is not None
    _guard.forgives = False
    _guard.violations = []
    try:
        return (yield)
    finally:
        _guard.active = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test whose code caught the refusal and went on."""
    outcome = yield
    if _guard.violations and not _guard.forgives:
        raise NetworkForbidden(f"the test swallowed a refused connection to {', '.join(_guard.violations)}")
    return outcome


@pytest.fixture
def refusals() -> list[str]:
    """What the guard refused in this test; asking for it means that the test expects refusals."""
    _guard.forgives = True
    return _guard.violations
