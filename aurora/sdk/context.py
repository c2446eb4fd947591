"""What a node of a graph may reach: everything else of the runtime is out of its sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora.kernel.clock import Clock
from aurora.kernel.ids import AlertId, IdFactory
from aurora.kernel.models import Task
from aurora.kernel.ports.lookup import Lookup
from aurora.kernel.ports.memory import CaseMemory
from aurora.kernel.ports.triage import AlertSource, Correlator, Recall, Recorder
from aurora.sdk.knowledge import Knowledge

if TYPE_CHECKING:
    from aurora.sdk.agents import Agents
    from aurora.sdk.spec import EnricherSpec, RuleSpec


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Handed to every node as `runtime.context`. One object a run; nothing in it is global.

    Inside a run time stands still and ids follow from the run, so that a node that runs twice, and a
    replay, come to the same: `clock.now()` is the moment at which the run was asked for.
    """

    task: Task
    """The task that this run carries out; its epoch fences every write."""
    clock: Clock
    ids: IdFactory
    """New ids, derived from the run, the node and how many it drew before."""
    agents: Agents
    alerts: AlertSource
    recall: Recall
    correlator: Correlator
    recorder: Recorder
    memory: CaseMemory
    knowledge: Knowledge
    rules: Sequence[RuleSpec]
    """In id order."""
    enrichers: Sequence[EnricherSpec]
    """In id order."""


@dataclass(frozen=True, kw_only=True)
class ToolContext:
    """Handed to every tool as `context`: what it may read. There is nothing here to write with."""

    alert_id: AlertId | None
    """The alert that the run works on, if it works on one."""
    lookup: Lookup
    knowledge: Knowledge
