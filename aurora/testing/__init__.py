"""The test kit that ships with Aurora: virtual time, scripted and bad models, and a runtime that leaves nothing behind.

All but `ManualClock` is imported when it is asked for: LangChain takes a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aurora.testing.clock import ManualClock

if TYPE_CHECKING:
    from aurora.testing.publisher import MemoryPublisher
    from aurora.testing.runtime import MemoryRuntime, RunFailed, open_runtime
    from aurora.testing.scripted import Calls, ScriptBroken, ScriptedChatModel
    from aurora.testing.worst_case import Endless, Forger, MaxMalice, ObeyAll, Stuffer

__all__ = [
    "Calls",
    "Endless",
    "Forger",
    "ManualClock",
    "MaxMalice",
    "MemoryPublisher",
    "MemoryRuntime",
    "ObeyAll",
    "RunFailed",
    "ScriptBroken",
    "ScriptedChatModel",
    "Stuffer",
    "open_runtime",
]

_MODULES = {
    "Calls": "scripted",
    "MemoryPublisher": "publisher",
    "MemoryRuntime": "runtime",
    "RunFailed": "runtime",
    "ScriptBroken": "scripted",
    "ScriptedChatModel": "scripted",
    "Endless": "worst_case",
    "Forger": "worst_case",
    "MaxMalice": "worst_case",
    "ObeyAll": "worst_case",
    "Stuffer": "worst_case",
    "open_runtime": "runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
