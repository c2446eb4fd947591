"""Who holds a lease: named so that a dead owner on this machine is recognised at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from aurora.kernel.ids import IdFactory

PROC = Path("/proc")

_ENDED = "ZX"
"""States of a process that runs no more, though its parent has not asked for its exit status yet (proc(5))."""

_HIDDEN = "hidden"
"""Instead of the start of a process that lives and that procfs shows to its own user alone (`hidepid`)."""


def this_owner(ids: IdFactory) -> str:
    """Return a name for this process: host, process id, start of the process, and a random end."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{_started(os.getpid())}:{ids().hex[-6:]}"


def is_dead(owner: str, *, proc: Path = PROC) -> bool:
    """Tell whether an owner was a process of this machine that has ended.

    A wrong "dead" costs nothing but repeated work: the epoch fences the old owner's writes. An owner that is
    not named like ours, or whose process is hidden from us, may live: its lease tells.
    """
    host, _, rest = owner.partition(":")
    parts = rest.split(":")
    if host != socket.gethostname()[:24] or len(parts) != len(("pid", "started", "end")) or not parts[0].isdecimal():
        return False
    return _started(int(parts[0]), proc) not in {parts[1], _HIDDEN}


def _started(pid: int, proc: Path = PROC) -> str:
    """Return when a process started, in clock ticks since boot; `gone` if there is none."""
    try:
        # The process name in brackets may hold anything, so count fields from the last bracket (proc(5)).
        fields = (proc / f"{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, PermissionError):
        return _alive_elsewhere(pid, proc)
    except ProcessLookupError:  # it ended between the opening of the file and the reading
        return "gone"
    return "gone" if fields[0] in _ENDED else fields[19]


def _alive_elsewhere(pid: int, proc: Path) -> str:
    """The same where procfs does not tell: only whether the process exists."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no process has so large a number
        return "gone"
    except PermissionError:
        pass
    return _HIDDEN if (proc / "self").exists() else "there"
