"""What a command does that queues tasks for others: it wakes workers, or says that there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from aurora.bootstrap import Runtime
    from aurora.dispatch.route import Route


async def wake(runtime: Runtime, route: Route, tasks: Sequence[str]) -> None:
    """Tell workers that these tasks are queued; say on stderr where no worker lives that could take them.

    Whoever is not reached looks into the database, so nothing here is an error.

    Args:
        runtime: Of this command.
        route: The way to workers.
        tasks: Ids, whole.
    """
    if not tasks:
        return
    from aurora.cli._show import err, plain
    from aurora.kernel.ids import TaskId

    async with runtime.storage.reading() as transaction:
        queued = [await transaction.tasks.get(TaskId(UUID(task))) for task in tasks]
        workers = await transaction.workers.live(runtime.clock.now(), kind="worker")
    await route.announce(queued)
    for graph, lane in sorted({(task.graph, task.lane.value) for task in queued}):
        if not any(worker.serves(graph, lane) for worker in workers):
            note = f"no worker serves {graph} in lane {lane} now; it waits until one does: aurora worker"
            err().print(plain(note, style="yellow"), soft_wrap=True)
