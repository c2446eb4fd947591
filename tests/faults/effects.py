"""The world outside: what the nodes of the fault graph did to it, one line a deed, and what to think of that.

The log is a file that processes append to, a line at a time, so it survives every kill. A node writes `enter` when it
begins and `exit` before it returns. Its effect (`effect`) is guarded as a connector's would be: an intent is written
first, and where an intent without its end is found the effect is `unknown`, visibly, and is not done again.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the log."""

    at: float
    """Seconds since the epoch, of the machine, whatever clock the process believes in."""
    pid: int
    what: str
    """`accept` (the ledger has it), `enter`, `exit`, `effect` or `unknown`."""
    key: str
    """Of the task."""
    node: str
    epoch: int


class World:
    """The log and the intents, in a folder. Every process opens its own.

    Args:
        folder: Where both are; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "world.log"
        self._intents = folder / "intents"
        self._intents.mkdir(exist_ok=True)

    def tell(self, what: str, key: str, node: str, epoch: int) -> None:
        """Append one line; a single write of less than a page is not mixed with others (O_APPEND)."""
        line = f"{time.time():.6f} {os.getpid()} {what} {key} {node} {epoch}\n".encode()
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def affect(self, key: str, node: str, epoch: int, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Do the effect of a node unless it was, or may have been, done before.

        `meanwhile` is called at the worst moment: the world is changed, and nobody has written that down.
        """
        intent, done = self._intents / f"{key}.{node}", self._intents / f"{key}.{node}.done"
        try:
            os.close(os.open(intent, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if not done.exists():
                self.tell("unknown", key, node, epoch)
            return
        self.tell("effect", key, node, epoch)
        meanwhile()
        done.touch()

    def deeds(self) -> Iterator[Deed]:
        """Yield all lines so far, in the order in which they were written."""
        if not self._log.exists():
            return
        for line in self._log.read_text(encoding="ascii").splitlines():
            at, pid, what, key, node, epoch = line.split(" ")
            yield Deed(float(at), int(pid), what, key, node, int(epoch))


@dataclass(slots=True)
class Account:
    """What the log says about a set of tasks."""

    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    again: int = 0
    """Nodes that were in flight at a fault and ran again: at least once is the promise for a node."""
    repeated: list[str] = field(default_factory=list)
    """Work that ran again although it was finished: the promise is never."""
    accepted: dict[str, float] = field(default_factory=dict)
    """When each task was accepted, as its producer knows it."""
    begun: dict[str, list[float]] = field(default_factory=dict)
    """When a node of each task began, every time."""
    finished: dict[str, float] = field(default_factory=dict)
    """When the last node of each task ended first."""

    @property
    def twice(self) -> int:
        """How often something ran, or was done to the world, twice that must not."""
        return len(self.repeated) + sum(count - 1 for count in self.effects.values() if count > 1)


def account(deeds: Iterator[Deed], *, nodes: tuple[str, ...]) -> Account:
    """Judge a log: a node that is entered again after a later one of its task began was finished work."""
    found = Account()
    entered: dict[tuple[str, str], int] = defaultdict(int)
    furthest: dict[str, int] = defaultdict(int)
    for deed in deeds:
        if deed.what == "accept":
            found.accepted.setdefault(deed.key, deed.at)
            continue
        place = nodes.index(deed.node)
        if deed.what == "effect":
            found.effects[deed.key, deed.node] += 1
        elif deed.what == "unknown":
            found.unknown.add((deed.key, deed.node))
        elif deed.what == "enter":
            entered[deed.key, deed.node] += 1
            found.begun.setdefault(deed.key, []).append(deed.at)
            found.again += entered[deed.key, deed.node] > 1 and place >= furthest[deed.key]
            if place < furthest[deed.key]:
                found.repeated.append(f"{deed.key}: {deed.node} began again after {nodes[furthest[deed.key]]}")
            furthest[deed.key] = max(furthest[deed.key], place)
        elif deed.what == "exit" and place == len(nodes) - 1:
            found.finished.setdefault(deed.key, deed.at)
    return found
