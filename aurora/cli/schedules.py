"""aurora schedules: what runs again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, BrokerName, Database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from aurora.bootstrap import Runtime
    from aurora.sdk.spec import GraphSpec

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="List what runs on a schedule, add, pause or remove some, see when they fire next.",
)

# Spelled out, so that help and completion need not import the domain; a test holds them to its enumeration.
CatchUpName = Literal["latest", "all", "none"]

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="Name of a schedule.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False, help="Names of schedules.")]


@app.command("list", cls=Command)
def list_schedules(as_json: AsJson = False, db: Database = None) -> None:
    """List the schedules: when each fires next, and what became of its last task.

    Examples:
        aurora schedules list

        aurora schedules list --json | jq -r 'select(.overdue_since) | .schedule'
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._schedules import print_list
        from aurora.cli._show import out
        from aurora.services.schedules import list_schedules as all_schedules

        async with opened(db) as runtime:
            found = await all_schedules(runtime.storage, clock=runtime.clock)
            now = runtime.clock.now()
        if as_json:
            for each in found:
                write_json(each)
        else:
            print_list(out(), found, now=now)
        return DONE

    run(work)


@app.command(cls=Command)
def show(schedule: Name, as_json: AsJson = False, db: Database = None) -> None:
    """Show everything that is known of a schedule: what it runs, what it fired, when it fires next.

    Example:
        aurora schedules show beacons-hourly
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._schedules import print_details
        from aurora.cli._show import out
        from aurora.services.schedules import describe_schedule

        async with opened(db) as runtime:
            described = await describe_schedule(runtime.storage, schedule, clock=runtime.clock)
            now = runtime.clock.now()
        if as_json:
            write_json(described)
        else:
            print_details(out(), described, now=now)
        return DONE

    run(work)


@app.command(cls=Command)
def add(
    *,
    schedule: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="Name of the new schedule.")],
    graph: Annotated[str, typer.Argument(metavar="GRAPH", show_default=False, help="Id of the graph that it runs.")],
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            show_default=False,
            help="What its state begins with: key=value pairs, JSON text, @file.json, or - for standard input.",
        ),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option(
            "--cron",
            metavar="LINE",
            show_default=False,
            help="When: minute, hour, day of month, month, day of week, such as '30 2 * * MON-FRI'.",
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option("--zone", metavar="NAME", help="Time zone of the cron line, such as Europe/Berlin.")
    ] = "UTC",
    every: Annotated[
        str | None,
        typer.Option(
            "--every", metavar="TIME", show_default=False, help="When: an interval, such as 15m, 6h or 7d, in UTC."
        ),
    ] = None,
    offset: Annotated[
        str | None,
        typer.Option(
            "--offset",
            metavar="TIME",
            show_default=False,
            help="With --every: from the start of the interval, such as 2h after midnight UTC with --every 1d.",
        ),
    ] = None,
    catch_up: Annotated[
        CatchUpName,
        typer.Option(metavar="WHICH", help="Missed times that are made up: latest, all (1,000 at most) or none."),
    ] = "latest",
    priority: Annotated[
        int, typer.Option(min=0, max=9, metavar="N", show_default=False, help="0 to 9, the most urgent; 3 unless set.")
    ] = 3,
    agent_type: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Specialist that is meant to do it, if the graph asks."),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Add it paused.")] = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Run a graph again and again: by a cron line in a time zone, or at an interval.

    The input is held against the type of the graph's state now, not when it fires. Firing needs a process that does
    it: aurora scheduler, or aurora worker --scheduler; any number of them fire each time once.

    Examples:
        aurora schedules add phish-hourly phish text=hello --every 1h

        aurora schedules add nightly hunt @input.json --cron '30 2 * * MON-FRI' --zone Europe/Berlin

    Exit status: 0 added; 1 there is one of that name, or no such graph; 2 the times or the input cannot be used.
    """

    async def work() -> int:
        import sys

        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._schedules import print_added
        from aurora.cli._show import out
        from aurora.services.graph_input import read_input
        from aurora.services.schedule import CatchUp
        from aurora.services.schedules import add_schedule

        interval, start = _duration(every, "--every"), _duration(offset, "--offset")
        async with opened(db) as runtime:
            spec = _graph(runtime, graph)
            limit = runtime.settings.ingest.max_record_bytes
            state = read_input(given or [], spec=spec, stdin=getattr(sys.stdin, "buffer", None), limit_bytes=limit)
            more = {} if start is None else {"offset": start}
            added = await add_schedule(
                runtime.storage,
                spec,
                state,
                id=schedule,
                clock=runtime.clock,
                cron=cron,
                timezone=zone,
                every=interval,
                agent_type=agent_type,
                priority=priority,
                catch_up=CatchUp(catch_up),
                is_paused=paused,
                **more,
            )
            now = runtime.clock.now()
        if as_json:
            write_json(added)
        else:
            print_added(out(), added, now=now)
        return DONE

    run(work)


@app.command(cls=Command)
def pause(schedules: Names, as_json: AsJson = False, db: Database = None) -> None:
    """Let schedules fire nothing until they are resumed. What they have fired goes on.

    Example:
        aurora schedules pause beacons-hourly
    """

    async def change(runtime: Runtime, name: str) -> dict[str, Any]:
        from aurora.services.schedules import pause_schedule

        return await pause_schedule(runtime.storage, name, clock=runtime.clock)

    run(lambda: _each(schedules, change, "paused", as_json=as_json, db=db))


@app.command(cls=Command)
def resume(schedules: Names, as_json: AsJson = False, db: Database = None) -> None:
    """Let schedules fire again. What they missed is made up as each says: the latest, all of it, or nothing.

    Example:
        aurora schedules resume beacons-hourly
    """

    async def change(runtime: Runtime, name: str) -> dict[str, Any]:
        from aurora.services.schedules import resume_schedule

        return await resume_schedule(runtime.storage, name, clock=runtime.clock)

    run(lambda: _each(schedules, change, "resumed", as_json=as_json, db=db))


@app.command("run-now", cls=Command)
def run_now(*, schedules: Names, as_json: AsJson = False, db: Database = None, broker: BrokerName = None) -> None:
    """Submit what schedules run, now, also while they are paused. Their times stay as they are.

    A worker carries the task out; aurora tasks show tells how far it is.

    Example:
        aurora schedules run-now beacons-hourly
    """

    async def change(runtime: Runtime, name: str) -> dict[str, Any]:
        from aurora.services.schedules import run_now as submit

        return await submit(runtime.storage, name, clock=runtime.clock, ids=runtime.ids)

    run(lambda: _each(schedules, change, "submitted", as_json=as_json, db=db, broker=broker, wakes=True))


@app.command("next", cls=Command)
def next_slots(
    schedule: Name,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, metavar="N", help="So many times.")] = 10,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Show when a schedule fires next, as if it were not paused: in UTC and on the clocks of its time zone.

    Example:
        aurora schedules next nightly -n 3
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._schedules import print_slots
        from aurora.cli._show import out
        from aurora.services.schedules import next_slots as following

        async with opened(db) as runtime:
            found = await following(runtime.storage, schedule, clock=runtime.clock, count=count)
            now = runtime.clock.now()
        if as_json:
            for each in found:
                write_json(each)
        else:
            print_slots(out(), found, now=now)
        return DONE

    run(work)


@app.command(cls=Command)
def remove(schedules: Names, as_json: AsJson = False, db: Database = None) -> None:
    """Remove schedules. The tasks that they have fired stay.

    Example:
        aurora schedules remove beacons-hourly
    """

    async def change(runtime: Runtime, name: str) -> dict[str, Any]:
        from aurora.services.schedules import remove_schedule

        return await remove_schedule(runtime.storage, name)

    run(lambda: _each(schedules, change, "removed", as_json=as_json, db=db))


async def _each(
    names: Sequence[str],
    change: Callable[[Runtime, str], Awaitable[dict[str, Any]]],
    done: str,
    *,
    as_json: bool,
    db: str | None,
    broker: str | None = None,
    wakes: bool = False,
) -> int:
    """Change schedules one by one and tell what became of each; one that is not there does not stop the others.

    Args:
        names: Of schedules.
        change: Changes one.
        done: What was done, in a word.
        as_json: Say it to programs.
        db: From `--db`.
        broker: From `--broker`.
        wakes: Whether a task of each is queued now, so that workers are to be woken.
    """
    from contextlib import AsyncExitStack

    from aurora.bootstrap import open_route
    from aurora.cli._json import write_json
    from aurora.cli._options import opened
    from aurora.cli._schedules import changed_line
    from aurora.cli._show import complain, out
    from aurora.cli._waking import wake
    from aurora.kernel.errors import NotFound

    status = DONE
    queued = list[str]()
    async with opened(db, broker=broker) as runtime, AsyncExitStack() as stack:
        route = await stack.enter_async_context(open_route(runtime)) if wakes else None
        for name in dict.fromkeys(names):
            try:
                changed = await change(runtime, name)
            except NotFound as error:
                complain(error.message)
                status = INCOMPLETE
                continue
            if wakes:
                queued.append(changed["task_id"])
            if as_json:
                write_json(changed)
            else:
                out().print(changed_line(changed, done, now=runtime.clock.now()), soft_wrap=True)
        if route is not None:
            await wake(runtime, route, queued)
    return status


def _duration(text: str | None, option: str) -> timedelta | None:
    from pydantic import TypeAdapter, ValidationError

    from aurora.kernel.errors import InputError
    from aurora.settings.values import Duration

    if text is None:
        return None
    adapter: TypeAdapter[timedelta] = TypeAdapter(Duration)
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"{option} {reason}") from None


def _graph(runtime: Runtime, graph: str) -> GraphSpec:
    from aurora.kernel.errors import NotFound
    from aurora.kernel.untrusted import quoted

    spec = runtime.content.graphs.get(graph)
    if spec is None:
        known = ", ".join(sorted(runtime.content.graphs))
        raise NotFound(f"there is no graph {quoted(graph, limit=40)}; there are {known}")
    return spec
