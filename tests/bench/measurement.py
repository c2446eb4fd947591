"""What a bench returns, and where it was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure.

    Args:
        name: Unique among all benches, in lower-case words: `triage alerts per second`.
        value: The figure, in `unit`.
        better: Which direction is an improvement.
        peer: What it is compared with, measured in the same run; `None` if there is nothing.
        peer_value: The peer's figure, in the same unit.
    """

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    peer: str | None = None
    peer_value: float | None = None


def machine() -> str:
    """Return what the figures depend on: processor, cores, system and Python."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    processor = found[1].strip() if found else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def commit(folder: Path) -> str:
    """Return the short id of the commit that was measured; a `+` says that the work tree differs from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "--short", "--verify", "HEAD") or "none") + ("+" if git("status", "--porcelain") else "")
