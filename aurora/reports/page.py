"""A report as HTML. Everything that a template puts out is cut, cleaned and escaped, whoever forgets to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aurora.kernel.evidence import Provenance
from aurora.reports.timeline import draw
from aurora.services.report_alert import LONGEST, LONGEST_TITLE, LONGEST_WHO, cut
from aurora.services.report_tally import LABELS, SEVERITIES, usd

if TYPE_CHECKING:
    from aurora.services.report import Report

T = TypeVar("T")

_FOLDER = Path(__file__).parent / "templates"
_EVERY = 100
"""Alerts between two words about progress."""
_MINUS = "\N{MINUS SIGN}"
_WRITERS = {each.value: each.value.replace("_", " ") for each in Provenance} | {
    Provenance.ATTACKER_WRITABLE.value: "possibly the attacker",
    Provenance.AGENT_DERIVED.value: "Aurora",
}


def render(report: Report, *, on_progress: Callable[[int, int], None] | None = None) -> Iterator[str]:
    """Yield a report as HTML, in small pieces."""
    names = {each["alert_id"]: number for number, each in enumerate(report.full, start=1)}
    members: dict[Any, list[int]] = {}
    for each in report.full:
        members.setdefault(each["case_id"], []).append(names[each["alert_id"]])
    labels = report.tally.labels()
    total = len(report.full) + len(report.lines)
    context = {
        "report": report,
        "longest_title": LONGEST_TITLE,
        "longest_who": LONGEST_WHO,
        "tally": report.tally,
        "labels": [label for label in LABELS if labels[label]],
        "label_counts": labels,
        "severities": [each for each in SEVERITIES if any(report.tally.verdicts[label, each] for label in LABELS)],
        "timelines": [
            drawn
            for width, height, most in ((960, 220, 60), (360, 200, 24))
            if (drawn := draw(report.tally.moments, width=width, height=height, most=most))
        ],
        "full": _counting(report.full, 0, total, on_progress),
        "lines": _counting(report.lines, len(report.full), total, on_progress),
        "members": members,
        "case_numbers": {each["case_id"]: number for number, each in enumerate(report.cases, start=1)},
        "cost": sum((each.cost_usd for each in report.tally.models.values()), Decimal(0)),
    }
    return environment().get_template("report.html").generate(context)


@cache
def environment() -> Environment:
    """Return the environment of the templates; compiled once, they never change while a process runs."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "when": when,
        "moment": iso,
        "tail": tail,
        "percent": percent,
        "number": number,
        "signed": signed,
        "words": words,
        "writer": writer,
        "cut": cut,
        "usd": money,
        "clock": clock,
    }
    return made


def harmless(value: object) -> object:
    """Return what may stand in a page: text without controls and reordering characters, and not too much of it."""
    if isinstance(value, Markup):  # made by our own macros, from values that went through here
        return value
    if isinstance(value, str):
        return cut(value, LONGEST + 100)
    return value


def when(value: datetime | None) -> str:
    """Return a moment to the second, in UTC."""
    return "no time" if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def clock(value: datetime) -> str:
    """Return a moment to the minute."""
    return f"{value.day} {value:%b %Y, %H:%M}"


def iso(value: datetime) -> str:
    """Return a moment for programs."""
    return value.isoformat(timespec="seconds")


def tail(value: object) -> str:
    """Return the end of an id, as every command takes it."""
    return str(value).replace("-", "")[-8:]


def percent(value: float | None) -> str:
    """Return a share for people."""
    return "" if value is None else f"{value:.0%}"


def number(value: float) -> str:
    """Return a count for people."""
    return f"{value:,}"


def signed(value: float | None) -> str:
    """Return a weight with its sign."""
    return "" if value is None else f"{value:+.1f}".replace("-", _MINUS)


def words(value: str | None) -> str:
    """Return a name of ours for people."""
    return "" if value is None else value.replace("_", " ")


def writer(provenance: str) -> str:
    """Return who wrote a value."""
    return _WRITERS.get(provenance, provenance)


def money(value: object) -> str:
    """Return an amount in US dollars, or that it is not known."""
    amount = usd(value)
    return "price not known" if amount is None else f"US$ {amount:.4f}"


def _counting(
    items: Sequence[T], before: int, total: int, on_progress: Callable[[int, int], None] | None
) -> Iterable[T]:
    for done, each in enumerate(items, start=before + 1):
        if on_progress is not None and done % _EVERY == 0:
            on_progress(done, total)
        yield each
