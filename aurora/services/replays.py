"""Replays of runs, as people and programs read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from aurora.discovery import Content
from aurora.kernel.errors import ConfigError
from aurora.services.outcomes import Document
from aurora.storage.unit_of_work import Storage

if TYPE_CHECKING:
    from aurora.dispatch.recorded import Recording
    from aurora.dispatch.replay import ReplayJournal
    from aurora.sdk.context import RunContext


async def replay_run(
    storage: Storage,
    run: str,
    *,
    content: Content,
    context: Callable[[Recording, ReplayJournal], RunContext],
) -> Document:
    """Replay a run on the version of its graph that it went through, or, where that is gone, on the newest.

    Nothing is written.

    Args:
        storage: Where the run is.
        run: Id of the run, or the end of it.
        content: The graphs there are now.
        context: Makes what the nodes of a replay may reach.

    Raises:
        NotFound: there is no such run, or more than one.
        NotReplayable: the run has not ended, or its record is not complete.
        ConfigError: its graph is not there any more.
    """
    from aurora.dispatch.recorded import recorded  # noqa: PLC0415 - imports langgraph
    from aurora.dispatch.replay import ReplayJournal, replay  # noqa: PLC0415 - imports langgraph

    recording = await recorded(storage, run)
    versions = content.graph_versions.get(recording.task.graph)
    if versions is None:
        raise ConfigError(
            f"there is no graph {recording.task.graph!r} any more; `aurora graph list` shows those there are",
            graph=recording.task.graph,
        )
    spec = versions.get(recording.graph_version or "", next(iter(versions.values())))
    journal = ReplayJournal(recording)
    found = await replay(recording, spec, context(recording, journal), journal)
    return {
        "run_id": str(recording.task.run_id),
        "graph": spec.id,
        "graph_version_then": recording.graph_version,
        "graph_version_now": spec.version,
        "equal": found.is_equal,
        "difference": found.difference,
        "answers": found.answers,
        "steps": [asdict(each) for each in found.steps],
    }
