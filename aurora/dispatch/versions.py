"""Which version of its graph a run goes on with: its own, or one that a declared step leads to. Never a guess. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from aurora.kernel.errors import GraphVersionGone
from aurora.kernel.models import Task
from aurora.sdk.migration import Migration
from aurora.sdk.spec import GraphSpec


@dataclass(frozen=True, slots=True)
class Way:
    """How a run goes on."""

    spec: GraphSpec
    """The version that runs."""
    steps: Sequence[tuple[Migration, GraphSpec]] = ()
    """What must be carried out first, in this order: a migration, and the version that it leads to."""


def way_of(task: Task, versions: Mapping[str, GraphSpec], *, begun: bool, recorded: str | None = None) -> Way:
    """Return how a run goes on.

    What its last checkpoint says counts, not the row of its task: the row may be older, or may have been pinned by
    a claim after an upgrade. A run whose checkpoints say nothing is from before they did; it goes on only where
    there is no choice.

    Args:
        task: Its `graph_version` is the version with which the claim would have it begin.
        versions: Those of its graph that are installed, by version, the newest first.
        begun: Whether its thread has a checkpoint.
        recorded: Version that the last checkpoint names.

    Raises:
        GraphVersionGone: the version is not installed, and no migration leads on from it.
    """
    newest = next(iter(versions.values()))
    if not begun:
        return Way(versions.get(task.graph_version or "", newest))
    if recorded is None:
        if len(versions) == 1:
            return Way(newest)
        raise gone(
            task,
            versions,
            "its checkpoints do not say with which version it began, and several are installed: "
            "leave only the one that was installed when it began",
        )
    if recorded in versions:
        return Way(versions[recorded])
    steps = _steps(recorded, versions)
    if not steps:
        raise gone(
            task,
            versions,
            "no migration leads on from that version: install it beside the others, or declare a migration",
            version=recorded,
        )
    return Way(steps[-1][1], steps)


def gone(task: Task, versions: Mapping[str, GraphSpec], why: str, *, version: str | None = None) -> GraphVersionGone:
    """Return the error for a run that cannot go on.

    Args:
        task: The task of the run.
        versions: What is installed of its graph.
        why: What is missing, and what to do.
        version: The one that the run has come so far with.
    """
    installed = ", ".join(versions)
    began = f"graph {task.graph!r} version {version or 'unknown'}, of which {installed} is installed"
    return GraphVersionGone(
        f"run {task.run_id} is of {began}; {why}; then `aurora tasks retry {task.id}` goes on with it",
        graph=task.graph,
        version=version,
        installed=installed,
        run_id=str(task.run_id),
    )


def _steps(version: str, versions: Mapping[str, GraphSpec]) -> list[tuple[Migration, GraphSpec]]:
    """Return the migrations to the newest version that any lead to, as few as possible; empty if there are none."""
    ways: dict[str, list[tuple[Migration, GraphSpec]]] = {version: []}
    reached = [version]
    while reached:
        following = []
        for spec in versions.values():
            lead = next((each for each in spec.migrations if each.from_version in reached), None)
            if lead is not None and spec.version not in ways:
                ways[spec.version] = [*ways[lead.from_version], (lead, spec)]
                following.append(spec.version)
        reached = following
    return next(chain((ways[each] for each in versions if each in ways), ([],)))
