"""How schedules look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.text import Text

from aurora.cli._json import json_line
from aurora.cli._show import heading, plain, table, tail, when
from aurora.cli._tasks import span, state

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]

_NARROW = 110
"""Below so many columns, lists leave out what `show` tells."""

_LATE = timedelta(minutes=1)
"""A slot that is due for so long is fired by nobody."""

NOBODY = "nobody fires it: start aurora scheduler, or aurora worker --scheduler"


def print_list(console: Console, found: Sequence[Document], *, now: datetime) -> None:
    """Print schedules, one a line."""
    if not found:
        console.print("no schedule; aurora schedules add makes one")
        return
    wide = console.width >= _NARROW
    more = ["on its clock"] if wide else []
    grid = table("schedule", "graph", "when", "next (UTC)", *more, "last (UTC)", "its task", stretch="when", wrap=True)
    for each in found:
        last = each["last"]
        grid.add_row(
            plain(each["schedule"], style="cyan", limit=30),
            plain(each["graph"], limit=20),
            plain(timing(each)),
            _next(each),
            *([plain(_clock(each["next_local"]))] if wide else []),
            when(last["slot"])[:16] if last else Text("never", style="dim"),
            _task(last),
        )
    console.print(grid)
    late = [each["schedule"] for each in found if _is_late(each, now)]
    if late:
        console.print(plain(f"overdue: {', '.join(late)}; {NOBODY}", style="bold red"), soft_wrap=True)
    for each in found:
        if each["fault"]:
            console.print(plain(f"{each['schedule']}: {each['fault']}", style="bold red"), soft_wrap=True)


def print_details(console: Console, schedule: Document, *, now: datetime) -> None:
    """Print everything that `describe_schedule` returns."""
    console.print(Text.assemble(("schedule ", "bold"), plain(schedule["schedule"], style="bold")))
    overdue = schedule["overdue_since"]
    facts = [
        ("graph", schedule["graph"]),
        ("when", timing(schedule)),
        ("next", "paused" if schedule["is_paused"] else _following(schedule, now)),
        (
            "overdue",
            f"since {when(overdue)} UTC" + (f"; {NOBODY}" if _is_late(schedule, now) else "") if overdue else "",
        ),
        (
            "missed",
            {"latest": "the latest is made up", "all": "all are made up", "none": "passed over"}[schedule["catch_up"]],
        ),
        ("priority", f"{schedule['priority']}, lane {schedule['lane']}"),
        ("meant for", schedule["agent_type"]),
        ("input", json_line(schedule["input"])),
        ("added", f"{when(schedule['created'])} UTC"),
        ("fault", schedule["fault"]),
    ]
    grid = table("what", "value", stretch="value", wrap=True)
    grid.show_header = False
    for name, value in facts:
        if value:
            grid.add_row(Text(name, style="dim"), plain(value))
    console.print(grid)
    if schedule["firings"]:
        heading(console, "Fired")
        fired = table("for (UTC)", "at (UTC)", "task", "state")
        for each in schedule["firings"]:
            fired.add_row(
                when(each["slot"]), when(each["fired"]), Text(tail(each["task_id"]), style="cyan"), _task(each)
            )
        console.print(fired)
    if schedule["slots"]:
        heading(console, "To come")
        print_slots(console, schedule["slots"], now=now)


def print_slots(console: Console, slots: Sequence[Document], *, now: datetime) -> None:
    """Print when a schedule fires."""
    grid = table("in UTC", "on its clock", "in", right=("in",))
    for each in slots:
        grid.add_row(when(each["slot"]), plain(_clock(each["local"])), span(datetime.fromisoformat(each["slot"]) - now))
    console.print(grid)


def print_added(console: Console, schedule: Document, *, now: datetime) -> None:
    """Print that a schedule was added, and when it fires first."""
    first = "it is paused" if schedule["is_paused"] else f"first {_following(schedule, now)}"
    console.print(
        plain(f"{schedule['schedule']}: runs {schedule['graph']} {timing(schedule)}; {first}"), soft_wrap=True
    )


def changed_line(changed: Document, done: str, *, now: datetime) -> Text:
    """Return in one line what became of a schedule."""
    line = f"{changed['schedule']}: {done}"
    if changed.get("task_id"):
        line += f" as task {tail(changed['task_id'])}, run {tail(changed['run_id'])}"
    elif changed.get("next"):
        made_up = changed.get("made_up")
        missed = f"; {made_up:,} missed made up at once" if made_up else ""
        line += f"; next {_following(changed, now)}{missed}"
    return plain(line)


def timing(schedule: Document) -> str:
    """Return in words when a schedule fires."""
    if schedule["cron"]:
        return f"{schedule['cron']} in {schedule['timezone']}"
    offset = f", {span(schedule['offset_s'])} after its start" if schedule["offset_s"] else ""
    return f"every {span(schedule['every_s'])}{offset}"


def _following(schedule: Document, now: datetime) -> str:
    if schedule["next"] is None:
        return "never"
    local = "" if schedule["timezone"] == "UTC" else f", {_clock(schedule['next_local'])} on its clock"
    return f"{when(schedule['next'])} UTC{local}, in {span(datetime.fromisoformat(schedule['next']) - now)}"


def _next(schedule: Document) -> Text:
    if schedule["next"]:
        return Text(when(schedule["next"])[:16], style="bold red" if schedule["overdue_since"] else "")
    return Text("paused" if schedule["is_paused"] else "never", style="dim")


def _clock(local: str | None) -> str:
    """Return what the clocks of a zone show, with their distance to UTC."""
    return "" if local is None else f"{local[:16].replace('T', ' ')} {local[19:]}"


def _task(firing: Document | None) -> Text:
    if firing is None:
        return Text("")
    return state(firing["task_state"]) if firing["task_state"] else Text("not kept", style="dim")


def _is_late(schedule: Document, now: datetime) -> bool:
    overdue = schedule["overdue_since"]
    return overdue is not None and now - datetime.fromisoformat(overdue) > _LATE
