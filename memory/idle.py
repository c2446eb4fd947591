"""Threads that wait to become episodes, and the jobs that tell how far each of them is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from memory.models import JobModel, MessageModel, ThreadModel

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

NAME = 32
"""Characters of a thread's name in the keys of its jobs; ten digits follow, of where a job begins."""

LAST = 9_999_999_999
"""Where no job begins."""


def idle(tenant: str, kind: str, *, since: datetime, after: str, limit: int) -> Select[str]:
    """Return what finds the names of threads that said something that was not asked for yet.

    Args:
        tenant: Whose threads.
        kind: Of the jobs that ask.
        since: Nobody has spoken in them since then.
        after: Names after this one.
        limit: So many at most.
    """
    asked = (
        select(
            JobModel.payload["thread"].as_string().label("thread"),
            func.substr(JobModel.key, 1, NAME).label("name"),
            func.max(JobModel.payload["to"].as_integer()).label("stop"),
            func.max(JobModel.due_at).label("at"),
        )
        .where(JobModel.tenant == tenant, JobModel.kind == kind)
        .group_by("thread", "name")
        .subquery()
    )
    first = aliased(MessageModel)
    is_first = and_(first.tenant == tenant, first.thread == ThreadModel.thread, first.position == 0)
    is_told = and_(
        asked.c.thread == ThreadModel.thread,
        asked.c.stop >= ThreadModel.next_position,
        # What a thread of this name was asked for, before it was erased and began anew, is another's.
        asked.c.at >= first.created_at,
    )
    return (
        select(ThreadModel.thread)
        .join(first, is_first)
        .outerjoin(asked, is_told)
        .where(ThreadModel.tenant == tenant, ThreadModel.thread > after, asked.c.thread.is_(None))
        .where(ThreadModel.updated_at <= since)
        .order_by(ThreadModel.thread)
        .limit(limit)
    )


def bookmarks(tenant: str, kind: str) -> ColumnElement[bool]:
    """Return which jobs tell how far a thread is: the last of each thread that is there."""
    later = aliased(JobModel)
    is_last = ~(
        select(later.id)
        .where(later.tenant == tenant, later.kind == kind, later.key > JobModel.key)
        .where(later.key <= func.substr(JobModel.key, 1, NAME).concat(f"{LAST}"))
        .exists()
    )
    is_there = (
        select(ThreadModel.thread)
        .where(ThreadModel.tenant == tenant, ThreadModel.thread == JobModel.payload["thread"].as_string())
        .exists()
    )
    return and_(JobModel.kind == kind, is_last, is_there)
