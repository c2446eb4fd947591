"""The three tables of the checkpoint saver.

None has a tenant column: the key is the thread, whose id contains a UUID and so belongs to one
task of one tenant; whoever reads by thread has found that thread through its tenant's task.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from aurora.storage.base import Base, Json


class CheckpointModel(Base):
    """The state of a thread after one superstep, without the channel values kept in `checkpoint_blobs`."""

    __tablename__ = "checkpoints"

    thread_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    checkpoint_ns: Mapped[str] = mapped_column(Text, primary_key=True)
    """Path of the subgraph; empty for the graph itself."""

    checkpoint_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A UUID of version 6: within a thread, text order is time order."""

    parent_id: Mapped[str | None] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(128), index=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    """Msgpack of LangGraph's `Checkpoint`; of the channel values it holds the short plain ones."""

    details: Mapped[dict[str, Any]] = mapped_column("metadata", Json)


class CheckpointBlobModel(Base):
    """One version of one channel's value. A superstep adds only the channels it changed."""

    __tablename__ = "checkpoint_blobs"

    thread_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    checkpoint_ns: Mapped[str] = mapped_column(Text, primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(32))
    value: Mapped[bytes] = mapped_column(LargeBinary)


class CheckpointWriteModel(Base):
    """What one task of a superstep wrote to one channel, before the next checkpoint takes it up."""

    __tablename__ = "checkpoint_writes"

    thread_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    checkpoint_ns: Mapped[str] = mapped_column(Text, primary_key=True)
    checkpoint_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    task_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """LangGraph's id of the node's execution; not a row of `tasks`."""

    idx: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Position among the task's writes; below zero for errors, interrupts and resumes."""

    task_path: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(32))
    value: Mapped[bytes] = mapped_column(LargeBinary)
