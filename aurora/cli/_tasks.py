"""How tasks look in a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.text import Text

from aurora.cli._show import block, heading, percent, plain, table, tail, when
from aurora.cli._show import verdict as coloured

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]

STATES = {
    "running": "cyan",
    "waiting": "magenta",
    "succeeded": "green",
    "failed": "red",
    "dead": "bold red",
    "cancelled": "dim",
}
_WIDE, _NARROW = 100, 60
"""Columns from which on lists have room for what `show` tells, and below which only the essential stays."""


def state(name: str) -> Text:
    """Return the state of a task in its colour."""
    return Text(name, style=STATES.get(name, ""))


def span(duration: timedelta | float) -> str:
    """Return a duration in its two largest units: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 1 h`."""
    total_s = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if total_s < 10:
        return f"{max(0.0, total_s):.1f} s"
    whole = int(total_s)
    for unit, size, smaller, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def owner(name: str, *, limit: int = 40) -> str:
    """Return who holds a task as people know it: host and process, the process in any case; programs get all of it."""
    host, _, rest = name.partition(":")
    process = rest.partition(":")[0]
    end = f":{process}" if process else ""
    room = max(1, limit - len(end))
    return (host if len(host) <= room else host[: room - 1] + "…") + end


def print_list(console: Console, found: Sequence[Document], *, now: datetime, full: bool) -> None:
    """Print tasks, one a line."""
    if not found:
        console.print("no task")
        return
    columns: dict[str, Callable[[Document], Text]] = {
        "id": lambda each: Text(tail(each["task_id"]), style="cyan"),
        "state": lambda each: state(each["state"]),
    }
    if console.width >= _NARROW:
        columns["lane"] = lambda each: Text(each["lane"])
        columns["graph"] = lambda each: plain(each["graph"], limit=20)
        columns["tries"] = lambda each: Text(f"{each['attempt']}/{each['max_attempts']}")
    if console.width >= _WIDE:
        columns["asked for (UTC)"] = lambda each: Text(when(each["created"]))
        columns["run"] = lambda each: Text(tail(each["run_id"]))
    columns["now"] = lambda each: plain(situation(each, now=now))
    grid = table(*columns, right=("tries",), stretch="now")
    for each in found:
        grid.add_row(*(told(each) for told in columns.values()))
    console.print(grid)
    if full:
        console.print(Text(f"the newest {len(found)}; more: --limit {len(found) * 10}", style="dim"))


def print_dead(console: Console, found: Sequence[Document], *, full: bool) -> None:
    """Print dead letters, each with its reason, and what can be done."""
    if not found:
        console.print("no dead letter")
        return
    for each in found:
        console.print(
            Text.assemble(
                (tail(each["task_id"]), "cyan"),
                "  ",
                plain(each["graph"]),
                (f"  {when(each['finished'])} UTC, {each['attempt']} attempts", "dim"),
            )
        )
        console.print(Text("  ").append_text(plain(_why(each) or "no reason is known")), soft_wrap=True)
    console.print()
    if full:
        console.print(Text(f"the newest {len(found)}; more: --limit {len(found) * 10}", style="dim"))
    console.print(
        Text("once the reason is mended: aurora tasks retry ID goes on, aurora tasks replay ID begins anew"),
        soft_wrap=True,
    )


def print_details(console: Console, task: Document, *, now: datetime) -> None:
    """Print everything that `describe_task` returns."""
    console.print(Text.assemble(("task ", "bold"), (task["task_id"], "bold"), "  ", state(task["state"])))
    version = f" version {task['graph_version']}" if task["graph_version"] else ""
    facts = [
        ("graph", f"{task['graph']}{version}"),
        ("meant for", task["agent_type"]),
        ("now", "" if task["error"] and task["finished"] else situation(task, now=now)),
        ("priority", f"{task['priority']}, lane {task['lane']}"),
        ("attempt", f"{task['attempt']} of {task['max_attempts']}"),
        ("asked for", f"{when(task['created'])} UTC"),
        # Of a task that has ended the mark says when its result was told, and it may be told again.
        ("announced", not task["finished"] and task["announced_at"] and f"{when(task['announced_at'])} UTC"),
        ("deadline", task["deadline"] and f"{when(task['deadline'])} UTC"),
        ("finished", task["finished"] and f"{when(task['finished'])} UTC"),
        ("outcome", task["outcome"]),
        ("error", task["error"]),
        ("reason", task["reason"]),
        ("belongs to", ", ".join(f"{key} {value}" for key, value in task["correlation"].items())),
        ("key", task["idempotency_key"]),
        ("tenant", task["tenant"]),
    ]
    grid = table("what", "value", stretch="value", wrap=True)
    grid.show_header = False
    for name, value in facts:
        if value:
            grid.add_row(Text(name, style="dim"), plain(value))
    console.print(grid)
    _waits_for(console, task["waits_for"])
    _history(console, task["history"])
    if task["verdict"]:
        heading(console, "Verdict")
        console.print(
            Text.assemble(
                coloured(task["verdict"]["label"]), f" {percent(task['verdict']['confidence'])}  "
            ).append_text(plain(task["verdict"]["reason"]))
        )
    heading(console, "Look further")
    for command in _further(task):
        console.print(Text(f"aurora {command}", style="cyan"))


def _waits_for(console: Console, asked: Sequence[Any]) -> None:
    if asked:
        heading(console, "Waits for")
        for each in asked:
            shown = each if isinstance(each, str) else json.dumps(each, ensure_ascii=False, indent=2, default=str)
            console.print(block(shown), soft_wrap=True)


def _history(console: Console, history: Sequence[Document]) -> None:
    if not history:
        return
    heading(console, "History")
    by = ["try", "worker"] if console.width >= _NARROW else []
    grid = table("time (UTC)", "event", *by, "why", right=("try",), stretch="why", wrap=True)
    for each in history:
        who: list[str | Text] = [str(each["attempt"]), plain(owner(each["owner"], limit=20) if each["owner"] else "")]
        grid.add_row(when(each["time"]), plain(each["event"].replace("_", " ")), *who[: len(by)], plain(_why(each)))
    console.print(grid)


def _further(task: Document) -> list[str]:
    further = [f"runs show {tail(task['run_id'])}"]
    if task["alert_id"]:
        further.append(f"alerts show {tail(task['alert_id'])}")
    end = tail(task["task_id"])
    if task["state"] in {"failed", "dead"}:
        further += [f"tasks retry {end}     # goes on where it stopped", f"tasks replay {end}    # begins anew"]
    elif task["state"] == "cancelled":
        further.append(f"tasks retry {end}")
    elif task["state"] != "succeeded" and not task["cancel_requested"]:
        further.append(f"tasks cancel {end}")
    return further


def situation(task: Document, *, now: datetime) -> str:
    """Return in one sentence what happens with a task, or how it ended."""
    if task["state"] == "queued":
        return _queued(task, now)
    if task["state"] == "running":
        return _running(task, now)
    if task["state"] == "waiting":
        return "waits for a decision"
    if task["state"] in {"failed", "dead"}:
        return _why(task)
    created, finished = _moment(task["created"]), _moment(task["finished"])
    return f"took {span(finished - created)}" if created and finished else ""


def _queued(task: Document, now: datetime) -> str:
    if task["held"]:
        return "held until its batch is accepted"
    due = _moment(task["run_at"])
    if due is not None and due > now:
        again = "is tried again" if task["attempt"] else "may run"
        return f"{again} in {span(due - now)}" + (f": {_why(task)}" if task["error"] else "")
    return f"due for {span(now - due)}" if due is not None else ""


def _running(task: Document, now: datetime) -> str:
    until = _moment(task["lease_until"])
    by = f"on {owner(task['owner'])}" if task["owner"] else "on nobody knows what"
    if until is None:
        lease = ""
    elif until > now:
        lease = f", lease for {span(until - now)}"
    else:
        lease = f", lease lapsed {span(now - until)} ago: it is handed on"
    return by + lease + (", to be cancelled" if task["cancel_requested"] else "")


def cancelled(task: Document) -> str:
    """Return what became of a task that was to be cancelled."""
    name = f"task {tail(task['task_id'])}"
    if task["state"] == "cancelled":
        return f"{name}: cancelled"
    by = f" on {owner(task['owner'])}" if task["owner"] else ""
    return f"{name}: runs{by}; it is cancelled with the next heartbeat, within 3 s, or when its lease runs out"


def retried(task: Document) -> str:
    """Return what became of a task that is to run again."""
    return f"task {tail(task['task_id'])}: queued in lane {task['lane']}; goes on after its last durable step"


def replayed(task: Document) -> str:
    """Return what became of a task that is done again."""
    return (
        f"task {tail(task['replays'])}: done again as task {tail(task['task_id'])}, run {tail(task['run_id'])}, "
        f"queued in lane {task['lane']}"
    )


def _why(each: Document) -> str:
    return ": ".join(part for part in (each["error"], each["reason"]) if part)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
