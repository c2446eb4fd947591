"""What a run adds to its thread in one commit, as plain rows for the driver."""

from __future__ import annotations

from asyncio import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from aurora.kernel.errors import LeaseLost, StorageError


class Fence(NamedTuple):
    """The claim under which a run may write: its task, the epoch of the lease, and the thread of that task."""

    task_id: UUID
    epoch: int
    thread_id: str

    def lost(self) -> LeaseLost:
        """Return the error for a run whose claim no longer stands."""
        return LeaseLost(
            "the task runs under another lease now; nothing of this run was stored",
            task_id=str(self.task_id),
            epoch=self.epoch,
            thread_id=self.thread_id,
        )


class CheckpointRow(NamedTuple):
    """A row of `checkpoints`; `metadata` is JSON text."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    parent_id: str | None
    run_id: str | None
    data: bytes
    metadata: str


class BlobRow(NamedTuple):
    """A row of `checkpoint_blobs`."""

    thread_id: str
    checkpoint_ns: str
    channel: str
    version: str
    type: str
    value: bytes


class WriteRow(NamedTuple):
    """A row of `checkpoint_writes`. Of two with one key the first stays, but the last if `idx` is below zero."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    task_id: str
    idx: int
    task_path: str
    channel: str
    type: str
    value: bytes


@dataclass(slots=True, kw_only=True)
class Change:
    """Rows of one run that are stored together or not at all."""

    fence: Fence | None
    """None only in a saver that was opened with `fenced=False`."""

    checkpoints: list[CheckpointRow] = field(default_factory=list)
    blobs: list[BlobRow] = field(default_factory=list)
    writes: list[WriteRow] = field(default_factory=list)


Outcome = Exception | None
"""Why a change was not stored, or None when it was."""


class Writer(Protocol):
    """Stores changes in the order they are submitted; those that wait share a transaction."""

    @property
    def commits(self) -> int:
        """Transactions committed so far."""

    def submit(self, change: Change) -> Future[None]:
        """Queue a change; the future ends when it is durable.

        It ends in `LeaseLost` when the fence does not hold, in `StorageUnavailable` when the database
        is locked or gone, in `StorageError` when it refuses the rows. Changes of others are not affected.
        """


def failures(kind: type[StorageError], message: str, *, count: int, cause: Exception) -> list[Outcome]:
    """Return one error for each of `count` changes; each run raises and annotates its own."""
    errors: list[Outcome] = []
    for _ in range(count):
        error = kind(message, reason=type(cause).__name__)
        error.__cause__ = cause
        errors.append(error)
    return errors


def settle(waiting: list[tuple[Change, Future[None]]], outcomes: list[Outcome]) -> None:
    """Tell the runs of a batch what became of their changes; for the thread of the event loop."""
    for (_, future), outcome in zip(waiting, outcomes, strict=True):
        if future.done():
            continue
        if outcome is None:
            future.set_result(None)
        else:
            future.set_exception(outcome)
