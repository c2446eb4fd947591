"""Does the jobs of a memory, one at a time, under a lease that is kept alive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aurora.kernel.errors import AuroraError, LeaseLost
from memory.jobs import Job, Jobs, lost

Handler = Callable[[Job], Awaitable[None]]
"""Does a job. What it writes, it writes under `Jobs.fence` or, the last of it, under `Jobs.settling`."""


async def work(jobs: Jobs, handlers: Mapping[str, Handler], *, owner: str) -> Job | None:
    """Do one job if one is due, and report how it went.

    Args:
        jobs: The queue.
        handlers: By kind of job. Jobs of other kinds are left to other workers.
        owner: Names the worker, for people.

    Returns:
        The job that was tried; `None`: none is due.

    Raises:
        asyncio.CancelledError: the worker is draining; the job was given back.
        StorageError: the database cannot be reached; the lease runs out by itself.
    """
    job = await jobs.claim(owner, kinds=tuple(handlers))
    if job is None:
        return None
    try:
        await _run(jobs, job, handlers[job.kind])
        await jobs.finish(job)
    except asyncio.CancelledError:
        await _put_down(jobs, job)
        raise
    except LeaseLost:
        return job  # its new owner reports
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is kept with the job
        await _failed(jobs, job, error)
    return job


async def drain(jobs: Jobs, handlers: Mapping[str, Handler], *, owner: str) -> int:
    """Do all jobs that are due now; return how many were tried. One that fails is due later."""
    tried = 0
    while await work(jobs, handlers, owner=owner) is not None:
        tried += 1
    return tried


async def _run(jobs: Jobs, job: Job, handler: Handler) -> None:
    """Run the handler under its deadline while the lease is renewed."""

    async def beat() -> None:
        while True:
            await jobs.clock.sleep(jobs.patience.lease / 3)
            if not await jobs.extend(job):
                raise lost(job)

    try:
        async with asyncio.timeout(jobs.patience.deadline.total_seconds()), asyncio.TaskGroup() as group:
            heartbeat = group.create_task(beat(), name=f"heartbeat:{job.id}")
            await handler(job)
            heartbeat.cancel()
    except* Exception as caught:  # noqa: BLE001 - a TaskGroup raises groups; the caller expects one error
        losses = [each for each in caught.exceptions if isinstance(each, LeaseLost)]
        failure = (losses or caught.exceptions)[0]
    else:
        return
    raise failure


async def _failed(jobs: Jobs, job: Job, error: Exception) -> None:
    try:
        await jobs.fail(job, error)
    except LeaseLost:
        return  # its new owner reports


async def _put_down(jobs: Jobs, job: Job) -> None:
    """Give a job back for at most a second; after that its lease runs out by itself."""
    try:
        async with asyncio.timeout(1):
            await jobs.give_back(job)
    except (AuroraError, TimeoutError):
        return
