"""How the state of dispatch looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from aurora.cli._show import plain, plural, table, when
from aurora.cli._tasks import STATES, owner, span

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

_WIDE, _NARROW = 100, 60
"""Columns from which on there is room for what one can do without, and below which only the essential stays."""

_GONE = 8
"""Processes that are gone and of which a line is shown: they stay known for a while."""

_WORKER = {"active": "green", "draining": "yellow", "gone": "bold red", "unknown": "magenta"}
_CIRCUIT = {"closed": "green", "half_open": "yellow", "disabled": "magenta"}


def status_lines(status: Document, *, width: int) -> Iterator[RenderableType]:
    """Yield what is to be printed, one below the other.

    Args:
        status: As `describe_status` returns it.
        width: Columns of the terminal.
    """
    yield _tasks(status["tasks"])
    yield ""
    yield _queues(status["queues"])
    yield ""
    yield from _workers(status["workers"], width)
    if status["brokers"]:
        yield ""
        yield _brokers(status["brokers"])
    breakers = [each for each in status["breakers"] if each["states"] or each["decided"] not in {None, "reset"}]
    if breakers:
        yield ""
        yield _breakers(breakers)
    if status["schedules"]:
        yield ""
        yield _schedules(status["schedules"], datetime.fromisoformat(status["time"]))
    dead = status["tasks"]["dead"]
    if dead:
        yield ""
        yield Text(f"{plural(dead, 'task is', 'tasks are')} dead: aurora tasks dead", style="bold red")


def _tasks(tasks: Mapping[str, int]) -> Text:
    line = Text()
    for name, number in tasks.items():
        if number or name in {"queued", "running", "waiting"}:
            line.append(f"{number:,} {name}", style=STATES.get(name, "bold") if number else "dim").append("   ")
    line.rstrip()
    return line


def _queues(queues: list[Document]) -> RenderableType:
    grid = table("queue", "queued", "oldest", right=("queued", "oldest"))
    for each in queues:
        style = "" if each["queued"] else "dim"
        grid.add_row(
            Text(each["lane"], style=style),
            Text(f"{each['queued']:,}", style=style),
            "" if each["oldest_s"] is None else span(each["oldest_s"]),
        )
    return grid


def _workers(workers: list[Document], width: int) -> Iterator[RenderableType]:
    gone = [each for each in workers if each["state"] == "gone"]
    shown = [each for each in workers if each["state"] != "gone"] + gone[:_GONE]
    if not shown:
        yield Text("no worker: aurora worker starts one; commands do their own work meanwhile", style="dim")
        return
    told = {"kind": _kind, "up": _up, "serves": _serves}
    more = list(told) if width >= _WIDE else []
    if _NARROW <= width < _WIDE:
        more = ["serves"] if {each["kind"] for each in shown} <= {"worker", None} else ["kind"]
    stretch = "serves" if "serves" in more else ""
    grid = table("worker", "state", "runs", "holds", "seen", *more, right=("runs", "holds", "seen"), stretch=stretch)
    for each in shown:
        grid.add_row(
            plain(owner(each["worker"], limit=min(28, max(10, width - 32)))),
            Text(each["state"], style=_WORKER.get(each["state"], "")),
            f"{each['running']}/{each['concurrency']}" if each["concurrency"] else "",
            str(each["holds"] or ""),
            "" if each["heartbeat_s"] is None else span(each["heartbeat_s"]),
            *(told[name](each) for name in more),
        )
    yield grid
    if len(gone) > _GONE:
        yield Text(f"and {len(gone) - _GONE} more that are gone", style="dim")


def _kind(worker: Document) -> Text:
    return plain(worker["kind"] or "?", style="" if worker["kind"] == "worker" else "dim")


def _serves(worker: Document) -> Text:
    """Return lanes and graphs in few words: all lanes go without saying."""
    lanes = "" if len(worker["lanes"]) in {0, 4} else ",".join(worker["lanes"]) + " of "
    return plain(lanes + ", ".join(sorted(worker["graphs"])))


def _up(worker: Document) -> Text:
    return plain(f"since {when(worker['started'])[5:16]}" if worker["started"] else "")


def _brokers(brokers: list[Document]) -> RenderableType:
    grid = table("broker", "state", "is", stretch="is", wrap=True)
    for each in brokers:
        if each["is_up"]:
            waiting = sum(each["pending"].values())
            detail = each["server"] + (f", {waiting:,} not confirmed" if waiting else "")
        else:
            detail = f"{each['error']}: {each['reason']}"
        state = Text("up", style="green") if each["is_up"] else Text("away", style="bold red")
        grid.add_row(plain(each["broker"]), state, plain(detail))
    return grid


def _breakers(breakers: list[Document]) -> RenderableType:
    grid = table("breaker", "state", "decided", stretch="decided")
    for each in breakers:
        states = Text(", ").join(
            Text(
                f"{name.replace('_', ' ')}" + (f" x{number}" if number > 1 else ""),
                style=_CIRCUIT.get(name, "bold red"),
            )
            for name, number in sorted(each["states"].items())
        )
        decided = each["decided"]
        grid.add_row(
            plain(each["breaker"]),
            states,
            plain("" if decided in {None, "reset"} else f"{decided.replace('_', ' ')} by a person", style="magenta"),
        )
    return grid


def _schedules(schedules: list[Document], now: datetime) -> RenderableType:
    grid = table("schedule", "graph", "next (UTC)", "in", right=("in",))
    for each in schedules:
        following = each["next"] and datetime.fromisoformat(each["next"])
        grid.add_row(
            plain(each["schedule"], limit=30),
            plain(each["graph"], limit=20),
            when(each["next"]) if following else Text("paused" if each["is_paused"] else "never", style="dim"),
            span(following - now) if following else "",
        )
    return grid
