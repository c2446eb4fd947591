"""What a node of a graph may reach: everything else of the runtime is out of its sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora.kernel.clock import Clock
from aurora.kernel.ids import IdFactory
from aurora.kernel.models import Task
from aurora.kernel.ports.triage import AlertSource, Correlator, Recall, Recorder
from aurora.sdk.knowledge import Knowledge

if TYPE_CHECKING:
    from aurora.sdk.spec import EnricherSpec, RuleSpec


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Handed to every node as `runtime.context`. One object a run; nothing in it is global."""

    task: Task
    """The task that this run carries out; its epoch fences every write."""
    clock: Clock
    ids: IdFactory
    alerts: AlertSource
    recall: Recall
    correlator: Correlator
    recorder: Recorder
    knowledge: Knowledge
    rules: Sequence[RuleSpec]
    """In id order."""
    enrichers: Sequence[EnricherSpec]
    """In id order."""
