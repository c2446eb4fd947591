"""Inside a run: where it is, what time it is, and which ids come next. All of it follows from the run alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from aurora.kernel.clock import Clock
from aurora.kernel.ids import RunId


def place() -> str:
    """Return where in its graph the running code is, such as `6.assess`: step and node, of subgraphs too.

    The same in every attempt at the run and in its replay. Nodes that one step runs side by side have
    places of their own. Empty outside of a graph.
    """
    from langgraph.config import get_config  # noqa: PLC0415 - imports langgraph, which the command line need not

    try:
        metadata = get_config().get("metadata") or {}
    except RuntimeError:  # not inside a node
        return ""
    if "langgraph_step" not in metadata:
        return ""
    spaces = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
    names = "|".join(space.partition(":")[0] for space in spaces)  # what follows the colon differs with each attempt
    branch = "".join(f".{part}" for part in metadata.get("langgraph_path", ()) if isinstance(part, int))
    return f"{metadata['langgraph_step']}.{names}{branch}"


class RunClock:
    """Stands still at the moment for which the run was asked; what waits and what measures goes on."""

    def __init__(self, moment: datetime, *, clock: Clock) -> None:
        self._moment = moment
        self._clock = clock

    def now(self) -> datetime:
        return self._moment

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await self._clock.sleep(duration)


class RunIds:
    """UUIDv7 derived from the run, the place in its graph, and how many were drawn there before."""

    def __init__(self, run_id: RunId, moment: datetime) -> None:
        self._run = run_id
        self._millis = int(moment.timestamp() * 1000) & (1 << 48) - 1
        self._drawn: Counter[str] = Counter()

    def __call__(self) -> UUID:
        here = place()
        self._drawn[here] += 1
        seed = f"{self._run}/{here}/{self._drawn[here]}".encode()
        tail = int.from_bytes(hashlib.sha256(seed).digest()[:10]) & (1 << 74) - 1
        return UUID(int=self._millis << 80 | 0x7 << 76 | tail >> 62 << 64 | 0b10 << 62 | tail & (1 << 62) - 1)
