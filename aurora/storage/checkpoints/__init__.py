"""LangGraph checkpoints in SQL: one commit a superstep, fenced by the task that writes them.

`AuroraSaver` is loaded when it is asked for: the tables are needed by every command, LangGraph is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurora.storage.checkpoints.saver import AuroraSaver

__all__ = ["AuroraSaver"]


def __getattr__(name: str) -> Any:
    if name == "AuroraSaver":
        from aurora.storage.checkpoints.saver import AuroraSaver  # noqa: PLC0415  (imports LangGraph: slow)

        return AuroraSaver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
