"""Typed, time-ordered identifiers (UUID version 7, RFC 9562)."""

from __future__ import annotations

import hashlib
import random
from typing import NewType, Protocol
from uuid import UUID

from aurora.kernel.clock import Clock

AlertId = NewType("AlertId", UUID)
BatchId = NewType("BatchId", UUID)
CaseId = NewType("CaseId", UUID)
DeviceId = NewType("DeviceId", UUID)
IndicatorId = NewType("IndicatorId", UUID)
RunId = NewType("RunId", UUID)
TaskId = NewType("TaskId", UUID)
VerdictId = NewType("VerdictId", UUID)


class IdFactory(Protocol):
    """Where new ids come from."""

    def __call__(self) -> UUID:
        """Return a new id, greater than every id this factory returned before."""


class Uuid7Factory:
    """UUIDv7 from an injected clock and generator; strictly increasing within a process.

    The 12 bits behind the milliseconds are a counter (RFC 9562 §6.2, method 1), so ids of
    one millisecond sort in the order in which they were made.
    """

    def __init__(self, *, clock: Clock, generator: random.Random | None = None) -> None:
        self._clock = clock
        self._random = generator or random.SystemRandom()
        self._last = 0

    def __call__(self) -> UUID:
        millis = int(self._clock.now().timestamp() * 1000)
        self._last = max(self._last + 1, millis << 12)
        stamp, counter = self._last >> 12, self._last & 0xFFF
        tail = self._random.getrandbits(62)
        return UUID(int=stamp << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail)


def case_id_of(group_id: UUID) -> CaseId:
    """Return the id of the case of a group of alerts: a UUIDv7 with the group's time.

    It is derived, not drawn, so that workers that open the same case at once agree on it.
    """
    tail = int.from_bytes(hashlib.sha256(b"case" + group_id.bytes).digest()[:10]) & (1 << 74) - 1
    stamp = group_id.int >> 80 << 80
    return CaseId(UUID(int=stamp | 0x7 << 76 | tail >> 62 << 64 | 0b10 << 62 | tail & (1 << 62) - 1))
