"""aurora tasks: look into the ledger, and lend a hand where one is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, BrokerName, Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aurora.bootstrap import Runtime

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="List tasks, look at one with its history, cancel, retry or replay some.",
)

# Spelled out, so that help and completion need not import the domain; a test holds them to its enumeration.
StateName = Literal["queued", "running", "waiting", "succeeded", "failed", "dead", "cancelled"]

TaskRefs = Annotated[
    list[str],
    typer.Argument(metavar="ID...", show_default=False, help="Ids of tasks, or their last digits, 4 or more."),
]
OfGraph = Annotated[
    str | None, typer.Option("--graph", metavar="ID", show_default=False, help="Only tasks of this graph.")
]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="List so many at most.")]


@app.command("list", cls=Command)
def list_tasks(
    *,
    state: Annotated[
        StateName | None,
        typer.Option(
            metavar="STATE",
            help="Only tasks in this state: queued, running, waiting, succeeded, failed, dead or cancelled.",
        ),
    ] = None,
    graph: OfGraph = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """List tasks, the newest first.

    Examples:
        aurora tasks list --state running

        aurora tasks list --graph triage --json | jq -r '[.task_id, .state] | @tsv'
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.cli._tasks import print_list
        from aurora.kernel.models import TaskState
        from aurora.services.tasks import list_tasks

        async with opened(db) as runtime:
            wanted = None if state is None else TaskState(state)
            found = await list_tasks(runtime.storage, state=wanted, graph=graph, limit=limit)
            now = runtime.clock.now()
        if as_json:
            for each in found:
                write_json(each)
        else:
            print_list(out(), found, now=now, full=len(found) == limit)
        return DONE

    run(work)


@app.command(cls=Command)
def show(
    task: Annotated[
        str, typer.Argument(metavar="ID", show_default=False, help="Id of a task, or its last digits, 4 or more.")
    ],
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Show everything that is known of a task: state, attempts, who holds it, what it waits for, its history.

    Example:
        aurora tasks show 87816699
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.cli._tasks import print_details
        from aurora.services.tasks import describe_task

        async with opened(db) as runtime:
            described = await describe_task(runtime.storage, task)
            now = runtime.clock.now()
        if as_json:
            write_json(described)
        else:
            print_details(out(), described, now=now)
        return DONE

    run(work)


@app.command(cls=Command)
def dead(*, graph: OfGraph = None, limit: Limit = 50, as_json: AsJson = False, db: Database = None) -> None:
    """List dead letters, the newest first: tasks that used up their attempts, with the reason of the last.

    What failed for a reason that no retry mends is in `aurora tasks list --state failed`.

    Examples:
        aurora tasks dead

        aurora tasks dead --json | jq -r .task_id | xargs aurora tasks replay
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.cli._tasks import print_dead
        from aurora.kernel.models import TaskState
        from aurora.services.tasks import list_tasks

        async with opened(db) as runtime:
            found = await list_tasks(runtime.storage, state=TaskState.DEAD, graph=graph, limit=limit)
        if as_json:
            for each in found:
                write_json(each)
        else:
            print_dead(out(), found, full=len(found) == limit)
        return DONE

    run(work)


@app.command(cls=Command)
def cancel(tasks: TaskRefs, as_json: AsJson = False, db: Database = None) -> None:
    """Cancel tasks. One that is queued or waits ends at once, one that runs with its worker's next heartbeat.

    What a task has done so far is kept. Exit status 1: one of them was not found, or had ended before.

    Example:
        aurora tasks cancel 87816699 4a4bd1c7
    """

    async def change(runtime: Runtime, task: str) -> dict[str, Any]:
        from aurora.services.tasks import cancel_task

        dispatch = runtime.settings.dispatch
        urls = [url.get_secret_value() for url in (dispatch.broker, dispatch.second_broker) if url is not None]
        told = any(not url.startswith("local:") for url in urls)
        return await cancel_task(runtime.storage, task, clock=runtime.clock, publishes=told)

    from aurora.cli._tasks import cancelled

    run(lambda: _each(tasks, change, cancelled, as_json=as_json, db=db))


@app.command(cls=Command)
def retry(*, tasks: TaskRefs, as_json: AsJson = False, db: Database = None, broker: BrokerName = None) -> None:
    """Let tasks run again now: those that failed, are dead, were cancelled, or wait for their next attempt.

    A run goes on after its last durable step; what it did before is not done again. Attempts are counted anew.

    Example:
        aurora tasks retry 87816699
    """

    async def change(runtime: Runtime, task: str) -> dict[str, Any]:
        from aurora.services.tasks import retry_task

        return await retry_task(runtime.storage, task, clock=runtime.clock)

    from aurora.cli._tasks import retried

    run(lambda: _each(tasks, change, retried, as_json=as_json, db=db, broker=broker, wakes=True))


@app.command(cls=Command)
def replay(*, tasks: TaskRefs, as_json: AsJson = False, db: Database = None, broker: BrokerName = None) -> None:
    """Do the work of dead or failed tasks again from its beginning, each as a new task with a run of its own.

    The old task stays as it is, with its history. To go on where it stopped, use `aurora tasks retry`.

    Example:
        aurora tasks replay 87816699
    """

    async def change(runtime: Runtime, task: str) -> dict[str, Any]:
        from aurora.services.tasks import replay_task

        return await replay_task(runtime.storage, task, clock=runtime.clock, ids=runtime.ids)

    from aurora.cli._tasks import replayed

    run(lambda: _each(tasks, change, replayed, as_json=as_json, db=db, broker=broker, wakes=True))


async def _each(
    tasks: Sequence[str],
    change: Callable[[Runtime, str], Awaitable[dict[str, Any]]],
    sentence: Callable[[dict[str, Any]], str],
    *,
    as_json: bool,
    db: str | None,
    broker: str | None = None,
    wakes: bool = False,
) -> int:
    """Change tasks one by one and tell what became of each; one that cannot be changed does not stop the others.

    Args:
        tasks: Ids, or their last digits.
        change: Changes one.
        sentence: Says it to people.
        as_json: Say it to programs.
        db: From `--db`.
        broker: From `--broker`.
        wakes: Whether they are queued now, so that workers are to be woken.
    """
    from contextlib import AsyncExitStack

    from aurora.bootstrap import open_route
    from aurora.cli._json import write_json
    from aurora.cli._options import opened
    from aurora.cli._show import complain, out, plain
    from aurora.cli._waking import wake
    from aurora.kernel.errors import Conflict, NotFound

    status = DONE
    queued = list[str]()
    async with opened(db, broker=broker) as runtime, AsyncExitStack() as stack:
        route = await stack.enter_async_context(open_route(runtime)) if wakes else None
        for task in dict.fromkeys(tasks):
            try:
                changed = await change(runtime, task)
            except (NotFound, Conflict) as error:
                complain(error.message)
                status = INCOMPLETE
                continue
            queued.append(changed["task_id"])
            if as_json:
                write_json(changed)
            else:
                out().print(plain(sentence(changed)), soft_wrap=True)
        if route is not None:
            await wake(runtime, route, queued)
    return status
