"""aurora breakers: which dependencies rest, and a person's hand on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, Database

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Show which brokers, models and other dependencies rest; open or close by hand.",
)

Key = Annotated[
    str, typer.Argument(metavar="KEY", show_default=False, help="A breaker, such as broker:redis or model:openai.")
]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", show_default=False, help="Why; it is shown to whoever lists breakers.")
]

_COLOURS = {"closed": "green", "open": "bold red", "half_open": "yellow", "forced_open": "bold red"}


@app.command("list", cls=Command)
def list_breakers(as_json: AsJson = False, db: Database = None) -> None:
    """List the breakers of all processes that work now, and what people decided about them.

    Example:
        aurora breakers list --json | jq -r 'select(.workers[].state == "open") | .breaker'
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.services.breakers import list_breakers as all_breakers

        async with opened(db) as runtime:
            found = await all_breakers(runtime.storage, clock=runtime.clock)
        if as_json:
            for each in found:
                write_json(each)
        else:
            _print(found)
        return DONE

    run(work)


@app.command("open", cls=Command)
def open_breaker(*, key: Key, reason: Reason, as_json: AsJson = False, db: Database = None) -> None:
    """Open a breaker by hand: no process calls the dependency until `aurora breakers close`.

    Workers obey with their next heartbeat, and after a restart. Tasks go on: without brokers workers look into
    the database, without a model written rules decide.

    Example:
        aurora breakers open model:openai --reason "Billing stopped until Monday, ticket 4711"
    """
    _decide("forced_open", key=key, reason=reason, as_json=as_json, db=db)


@app.command("disable", cls=Command)
def disable_breaker(*, key: Key, reason: Reason, as_json: AsJson = False, db: Database = None) -> None:
    """Switch a breaker off: every call goes through, whatever fails, until `aurora breakers close`.

    Example:
        aurora breakers disable broker:nats --reason "Measuring without it, until noon"
    """
    _decide("disabled", key=key, reason=reason, as_json=as_json, db=db)


@app.command("close", cls=Command)
def close_breaker(
    *,
    key: Key,
    reason: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="Why.")] = "",
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Close a breaker, also one that opened by itself, and let it decide by itself again.

    Example:
        aurora breakers close model:openai
    """
    _decide("reset", key=key, reason=reason, as_json=as_json, db=db)


def _decide(
    state: Literal["forced_open", "disabled", "reset"], *, key: str, reason: str, as_json: bool, db: str | None
) -> None:
    async def work() -> int:
        from aurora.cli._alerts import this_person
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import err, out, plain, plural
        from aurora.services.breakers import decide_breaker
        from aurora.storage.repositories.circuits import Decided

        async with opened(db) as runtime:
            decision, live, known = await decide_breaker(
                runtime.storage, key, Decided(state), reason=reason, by=this_person(), clock=runtime.clock
            )
        if as_json:
            write_json({"breaker": key, "state": state, "serial": decision.serial, "live_processes": live})
            return DONE
        what = {"forced_open": "open", "disabled": "off", "reset": "closed"}[state]
        console = out()
        who = (
            f"{plural(live, 'process obeys', 'processes obey')} with the next heartbeat" if live else "no process works"
        )
        console.print(plain(f"{key} is {what}: {who}; those that start later obey too"), soft_wrap=True)
        if live and key not in known:
            has = f"they have {', '.join(known)}" if known else "they have none yet"
            note = f"no process that works now has a breaker {key}; {has}"
            err().print(plain(note, style="yellow"), soft_wrap=True)
        if state != "reset":
            console.print(plain(f"to undo it: aurora breakers close {key}", style="dim"), soft_wrap=True)
        return DONE

    run(work)


def _print(found: list[dict[str, Any]]) -> None:
    from aurora.cli._show import heading, out, percent, plain, table, when

    console = out()
    told = [(each["breaker"], worker) for each in found for worker in each["workers"]]
    if told:
        wide = console.width >= 100
        columns = ("breaker", "process", "state", "failed", "opened", *(["refused"] if wide else []))
        grid = table(*columns, right=columns[3:])
        for key, worker in told:
            grid.add_row(
                plain(key, style="cyan"),
                plain(f"{worker['pid']}@{worker['host']}", limit=40 if wide else 22),
                _state(worker["state"], wait=worker["wait_s"]),
                f"{percent(worker['failure_share'])} of {worker['calls']:,}" if worker["calls"] else "",
                str(worker["openings"] or ""),
                *([f"{worker['refused']:,}" if worker["refused"] else ""] if wide else []),
            )
        console.print(grid)
    else:
        console.print(plain("no process that works now has a breaker", style="dim"))
    decided = [(each["breaker"], each["decision"]) for each in found if each["decision"]]
    if decided:
        heading(console, "What people decided")
        grid = table("breaker", "", "by", "at (UTC)", "reason", stretch="reason", wrap=True)
        for key, decision in decided:
            grid.add_row(
                plain(key, style="cyan"),
                _state("closed" if decision["state"] == "reset" else decision["state"]),
                plain(decision["by"]),
                when(decision["at"]),
                plain(decision["reason"]),
            )
        console.print(grid)


def _state(state: str, *, wait: float | None = None) -> Text:
    """Return a state in its colour, with the time until a call may go through again."""
    from aurora.cli._show import plain

    return plain(state.replace("_", " ") + (f", {wait:.0f} s" if wait else ""), style=_COLOURS.get(state, "magenta"))
