"""Carries a run over to another version of its graph: one more checkpoint on its thread, fenced like all others.

LangGraph's own `aupdate_state` writes it. It is shown the last checkpoint without the channels of the old version:
they would stay in every later one, and a half-full barrier or an old value would come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.channels import BinaryOperatorAggregate
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.types import Overwrite, Send

from aurora.sdk.migration import START, Migration
from aurora.sdk.spec import GraphSpec
from aurora.storage.checkpoints.saver import AuroraSaver

VERSION = "aurora_graph_version"
"""Key in `config["metadata"]`, and so in the metadata of every checkpoint: version of the graph that wrote it."""

_BRANCH, _JOIN, _SENDS = "branch:to:", "join:", "__pregel_tasks"
"""Channels in which LangGraph notes what is to run next. `tests/unit/dispatch/test_migration.py` holds it to them."""


class NoWayOn(Exception):
    """A migration does not say how to go on from where the run stands; the message says what is missing."""


def version_of(last: CheckpointTuple) -> str | None:
    """Return the version of the graph that wrote a checkpoint; `None`: it does not say."""
    found = last.metadata.get(VERSION)
    return found if isinstance(found, str) else None


def standing(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the nodes that are to run next, by name; empty for a run that is at its end.

    Read from the checkpoint alone: the graph that wrote it may be gone.
    """
    versions, seen = checkpoint["channel_versions"], checkpoint["versions_seen"]
    found: set[str] = set()
    for channel, value in checkpoint["channel_values"].items():
        if channel == _SENDS:
            found.update(each.node for each in value or () if isinstance(each, Send))
        elif channel == START or channel.startswith((_BRANCH, _JOIN)):
            node = channel.rpartition(":")[2]
            is_new = str(versions.get(channel, "")) > str(seen.get(node, {}).get(channel, ""))
            if is_new and not _is_waiting(channel, value):
                found.add(node)
    return tuple(sorted(found))


def state_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the values of a checkpoint without LangGraph's own channels."""
    values = checkpoint["channel_values"]
    return {key: value for key, value in values.items() if not key.startswith((_BRANCH, _JOIN, "__"))}


async def migrate(
    saver: AuroraSaver,
    last: CheckpointTuple,
    config: RunnableConfig,
    *,
    migration: Migration,
    spec: GraphSpec,
    begun_with: Mapping[str, Any],
) -> None:
    """Write the checkpoint with which a run goes on in another version. It is all that is written, or nothing is.

    Args:
        saver: Stores it, if the claim in the config still holds.
        last: The newest checkpoint of the thread.
        config: Of the run, with the new version in its metadata.
        migration: What to carry out.
        spec: The version that it leads to.
        begun_with: Input of the run, for one that has not come to its first node.

    Raises:
        NoWayOn: the migration does not name the node at which the run stands; nothing was written.
        LeaseLost: another worker owns the task now; nothing was written.
    """
    stands = standing(last.checkpoint)
    after = _after(stands, migration)
    if any(channel not in WRITES_IDX_MAP for _, channel, _ in last.pending_writes or ()):
        raise NoWayOn(
            f"it was stopped in a step in which some nodes are done and {_named(stands)} may not be: "
            "the version that it began with must finish that step"
        )
    state = migration.state(dict(begun_with) if stands == (START,) else state_of(last.checkpoint))
    graph = spec.build().compile(checkpointer=_Behind(saver, last), name=spec.id)
    channels = graph.channels
    values = {
        key: Overwrite(value) if isinstance(channels[key], BinaryOperatorAggregate) else value
        for key, value in state.items()
        if key in channels
    }
    await graph.aupdate_state(config, values, as_node=after)


def _after(stands: Sequence[str], migration: Migration) -> str:
    known = {START: START, **migration.after}
    if unknown := [each for each in stands if each not in known]:
        raise NoWayOn(f"it stands at {_named(unknown)}, and the migration does not say where to go on from there")
    goals = {known[each] for each in stands}
    if len(goals) != 1:
        raise NoWayOn(f"it stands at {_named(stands)}, from where the migration leads to different nodes")
    return goals.pop()


def _named(nodes: Sequence[str]) -> str:
    return " and ".join(f"node {each!r}" for each in nodes)


def _is_waiting(channel: str, value: Any) -> bool:
    """Tell whether a channel does not yet start its node: a barrier that has not heard of all, a deferred node."""
    if isinstance(value, (list, tuple)):  # of a deferred node, which runs when all others are at their end
        value, is_last = value
        if not is_last:
            return True
    names = set(channel.removeprefix(_JOIN).rpartition(":")[0].split("+"))
    return channel.startswith(_JOIN) and set(value) != names


def _is_half_full(channel: str, value: Any) -> bool:
    """Tell whether a channel is a barrier that has heard of some of its nodes and waits for others."""
    heard = value[0] if isinstance(value, (list, tuple)) and value else value
    return channel.startswith(_JOIN) and bool(heard) and _is_waiting(channel, value)


class _Behind(BaseCheckpointSaver[str]):
    """Shows one checkpoint without the channels of the version that wrote it; all writes go to the real saver.

    Half-full barriers stay: one of the same name waits for the same nodes, some of which will not run again.
    """

    def __init__(self, saver: AuroraSaver, last: CheckpointTuple) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver
        checkpoint = last.checkpoint
        versions = checkpoint["channel_versions"]
        barriers = [channel for channel, value in checkpoint["channel_values"].items() if _is_half_full(channel, value)]
        kept: Checkpoint = {
            **checkpoint,
            "channel_values": {each: checkpoint["channel_values"][each] for each in barriers},
            # The highest stays, so that no later version repeats one under which a value is stored already.
            "channel_versions": {START: max(versions.values()), **{each: versions[each] for each in barriers}},
            "versions_seen": {
                node: {channel: version for channel, version in channels.items() if channel in barriers}
                for node, channels in checkpoint["versions_seen"].items()
            },
        }
        self._last = last._replace(checkpoint=kept, pending_writes=[])

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple:
        return self._last

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if not standing(checkpoint) and any(
            _is_half_full(channel, value) for channel, value in checkpoint["channel_values"].items()
        ):
            raise NoWayOn("the migration leads to a node that waits for others, which will not run")
        return await self._saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._saver.aput_writes(config, writes, task_id, task_path)

    def get_next_version(self, current: str | None, channel: None) -> str:
        return self._saver.get_next_version(current, channel)
