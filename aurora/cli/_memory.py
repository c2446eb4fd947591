"""How a memory looks in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from aurora.cli._json import json_line
from aurora.cli._show import block, heading, plain, plural, table, tail, when

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]

TRUSTS = {"operator": "green", "agent_derived": "cyan", "tool_output": "blue", "external_content": "yellow"}
STATES = {"quarantined": "bold red", "archived": "dim", "rolled_back": "magenta", "erased": "dim"}

_SCORE, _PART, _SHARE = 10, 4, 24
"""Characters of the bars of a score, of one of its parts, and of a share of a whole."""
_FACTORS = ("recency", "importance", "trust")
"""What the rest is multiplied by; around 1, so that a bar would say nothing."""
_TIMES = "\N{MULTIPLICATION SIGN}"
_NARROW, _TINY, _ID = 100, 64, 8
"""Columns of a terminal in which not all, or only the most needed, has a column; characters of an id."""
_LONGEST = 400
"""Characters of a text in a list of hits; `show` has all of it."""
_LEFT_OUT = 8
"""Items that were left out and are listed; --json has all of them."""


def bar(value: float, width: int, *, style: str = "") -> Text:
    """Return a share from 0 to 1 as a bar of a fixed width."""
    full = round(max(0.0, min(1.0, value)) * width)
    return Text.assemble(("█" * full, style), ("░" * (width - full), "dim"))


def trust(value: str) -> Text:
    """Return a trust in its colour."""
    return plain(value.replace("_", " "), style=TRUSTS.get(value, ""))


def age(days: int) -> str:
    """Return an age for people."""
    return "today" if days == 0 else f"{plural(days, 'day')} ago"


def print_found(console: Console, found: Document) -> None:
    """Print what `search_memory` returns."""
    for place, hit in enumerate(found["hits"], start=1):
        console.print(
            Text.assemble(
                (f"{place:>2}  ", "dim"),
                bar(hit["score"], _SCORE, style="cyan"),
                f" {hit['score']:.2f}  ",
                (tail(hit["id"]), "cyan"),
                "  ",
                plain(f"{hit['tier']} {hit['kind']}"),
                "  ",
                trust(hit["trust"]),
                "  ",
                (age(hit["age_days"]), "dim"),
            )
        )
        for line in (
            plain(hit["text"], limit=_LONGEST),
            _parts(hit["parts"]),
            plain(hit["why"], style="dim"),
            Text.assemble(("from ", "dim"), plain(_sources(hit), style="dim")),
        ):
            console.print(Padding(line, (0, 0, 0, 3)))
    if found["abstained"]:
        console.print(plain(f"nothing was found: {found['abstained']}"), soft_wrap=True)
    _print_without_vector(console, found["without_vector"])
    if found["left_out"]:
        heading(console, "Left out")
        _print_left_out(console, found["left_out"][:_LEFT_OUT])
        if len(found["left_out"]) > _LEFT_OUT:
            console.print(Text(f"and {len(found['left_out']) - _LEFT_OUT} more; --json lists them", style="dim"))
    console.print(Text(f"{plural(found['considered'], 'item')} compared", style="dim"))


def print_list(console: Console, found: Sequence[Document], *, full: bool = False, nothing: str = "no item") -> None:
    """Print items, one a line; `nothing` where there are none."""
    if not found:
        console.print(nothing)
        return
    names = ["id", "kind", "text"]
    if console.width >= _TINY:
        names[1:2] = ["tier", "kind", "trust"]
    if console.width >= _NARROW:
        names[4:4] = ["state", "recorded (UTC)"]
    grid = table(*names, stretch="text")
    grid.columns[0].min_width = _ID  # the end of an id that was cut names nothing
    for each in found:
        cells = {
            "id": Text(tail(each["id"]), style="cyan"),
            "tier": plain(each["tier"]),
            "kind": plain(each["kind"], limit=20),
            "trust": trust(each["trust"]),
            "state": _state(each["state"]),
            "recorded (UTC)": Text(when(each["recorded_at"])[:16]),
            "text": plain(each["text"]),
        }
        grid.add_row(*(cells[name] for name in names))
    console.print(grid)
    if full:
        console.print(Text("more: --limit", style="dim"))


def print_item(console: Console, item: Document) -> None:
    """Print everything that `describe_item` returns."""
    console.print(
        Text.assemble(
            plain(f"{item['tier']} {item['kind']}", style="bold"),
            "  ",
            trust(item["trust"]),
            "  ",
            _state(item["state"]),
            "  ",
            (age(item["age_days"]), "dim"),
        )
    )
    console.print(block(item["text"]))
    _facts(console, item)
    heading(console, "Sources")
    sources = table("written by", "uri", "part", stretch="uri", wrap=True)
    for each in item["sources"]:
        sources.add_row(plain(each["provenance"].replace("_", " ")), plain(each["uri"]), plain(each["span"], limit=40))
    console.print(sources if item["sources"] else Text("none is kept", style="dim"))
    if len(item["versions"]) > 1:
        heading(console, "Versions, the latest first")
        _versions(console, item)
    if item["links"]:
        heading(console, "Links")
        for each in item["links"]:
            score = "" if each["score"] is None else f" {each['score']:.2f}"
            arrow = "→" if each["direction"] == "to" else "←"
            console.print(
                Text.assemble(
                    plain(f"{each['relation']}{score} {arrow}"),
                    " ",
                    (tail(each["id"]), "cyan"),
                    "  ",
                    plain(each["text"], limit=160),
                )
            )
    if item["derived"]:
        heading(console, "Made of it")
        print_list(console, item["derived"])
    heading(console, "What was done to it")
    events = table("event", "what", "who", "when (UTC)", "details", right=("event",), stretch="details", wrap=True)
    for each in item["events"]:
        details = {name: value for name, value in each["details"].items() if name != "hash"}
        events.add_row(
            f"{each['number']:,}",
            plain(each["operation"].replace("_", " ")),
            plain(each["actor"], limit=40),
            when(each["time"]),
            plain(json_line(details) if details else "", style="dim"),
        )
    console.print(events)


def print_stats(console: Console, found: Document) -> None:
    """Print a memory in numbers."""
    total = sum(found["by_state"].values())
    if not total:
        console.print("nothing is remembered yet; aurora triage and aurora memory add change that")
        return
    console.print(
        plain(
            f"{plural(total, 'item')} from {plural(found['sources'], 'source')}, "
            f"{when(found['oldest'])} to {when(found['newest'])} UTC; {found['superseded']:,} superseded"
        ),
        soft_wrap=True,
    )
    for title, name, styles in (
        ("What stands, by tier", "by_tier", {}),
        ("What stands, by trust", "by_trust", TRUSTS),
        ("All, by state", "by_state", STATES),
        ("Vectors, by embedder", "vectors", {}),
    ):
        if not found[name]:
            continue
        heading(console, title)
        most = max(found[name].values())
        grid = table("what", "count", "share", right=("count",))
        grid.show_header = False
        for each, count in sorted(found[name].items(), key=lambda one: (-one[1], one[0])):
            drawn = bar(count / most, _SHARE, style=styles.get(each, ""))
            grid.add_row(plain(each.replace("_", " ")), f"{count:,}", drawn)
        console.print(grid)
    _print_without_vector(console, found["without_vector"])


def print_gone(console: Console, gone: Document, did: str) -> None:
    """Print what was taken away, or would be."""
    would = "would be " if gone["dry_run"] else ""
    for each in gone["shown"]:
        console.print(
            Text.assemble((tail(each["id"]), "cyan"), "  ", plain(f"{each['kind']}: {each['text']}", limit=160)),
            soft_wrap=True,
        )
    left = gone["items"] - len(gone["shown"])
    if gone["shown"] and left:
        console.print(Text(f"and {left:,} more", style="dim"))
    were = would or ("was " if gone["items"] == 1 else "were ")
    console.print(plain(f"{plural(gone['items'], 'item')} {were}{did}"), soft_wrap=True)


def kept_line(kept: Document) -> Text:
    """Return in one line what became of what was to be remembered."""
    what = {
        "stored": "remembered",
        "duplicate": "is known already; you are noted as a source",
        "outranked": "kept, but something that is trusted more stands",
        "quarantined": "went to quarantine",
    }[kept["fate"]]
    line = f"{tail(kept['id'])}: {what}, trusted as {kept['trust']}"
    if kept["superseded"]:
        line += f"; takes the place of {', '.join(map(tail, kept['superseded']))}"
    if kept["near"]:
        line += f"; says nearly the same as {', '.join(map(tail, kept['near']))}"
    if kept["redacted"]:
        line += f"; taken out: {', '.join(kept['redacted'])}"
    if kept["reasons"]:
        line += f"; {'; '.join(kept['reasons'])}"
    return plain(line)


def reembedded_line(done: Document) -> Text:
    """Return in one line how many vectors were made."""
    line = f"{plural(done['done'], 'vector')} made by {done['embedder']}, {done['remaining']:,} to come"
    return plain(line + (f"; {plural(done['dropped'], 'old vector')} deleted" if done["dropped"] else ""))


def _parts(parts: Mapping[str, float]) -> Text:
    """Return what a score is made of: a small bar for each part."""
    line = Text()
    for name, value in parts.items():
        if name in _FACTORS:
            line.append(f"{_TIMES} {name} ", "dim").append(f"{value:.2f} ")
        else:
            line.append(f"{name} ", "dim").append_text(bar(value, _PART)).append(f" {value:.2f} ")
    return line


def _print_without_vector(console: Console, left: int) -> None:
    if left:
        what = f"{plural(left, 'item')} without a vector: a search finds their words, not their meaning"
        console.print()
        console.print(
            plain(f"{what}. A scheduler makes vectors as it goes, `aurora memory reembed` now"), soft_wrap=True
        )


def _print_left_out(console: Console, left_out: Sequence[Document]) -> None:
    if console.width < _TINY:
        for each in left_out:
            shown = Text.assemble((tail(each["id"]), "cyan"), "  ", plain(each["text"], limit=_LONGEST // 4))
            console.print(shown)
            console.print(Padding(plain(each["reason"], style="dim"), (0, 0, 0, 3)))
        return
    grid = table("id", "text", "because", stretch="because", wrap=True)
    for each in left_out:
        shown = plain(each["text"], limit=max(24, console.width // 3))
        grid.add_row(Text(tail(each["id"]), style="cyan"), shown, plain(each["reason"]))
    console.print(grid)


def _state(value: str) -> Text:
    return plain(value.replace("_", " "), style=STATES.get(value, ""))


def _sources(item: Document) -> str:
    shown = [f"{each['uri']} ({each['provenance'].replace('_', ' ')})" for each in item["sources"][:3]]
    left = len(item["sources"]) - len(shown)
    return ", ".join(shown) + (f" and {left:,} more" if left else "")


def _facts(console: Console, item: Document) -> None:
    until = f" until {when(item['valid_to'])}" if item["valid_to"] else ""
    retired = f", until {when(item['retired_at'])}" if item["retired_at"] else ""
    facts = [
        ("item", item["id"]),
        ("about", item["subject"]),
        ("says", " ".join(each for each in (item["predicate"], item["object"]) if each)),
        ("kept in", "/".join([*item["namespace"], *([item["key"]] if item["key"] else [])])),
        ("true", f"since {when(item['valid_from'])}{until} UTC"),
        ("held", f"since {when(item['recorded_at'])}{retired} UTC"),
        ("replaced by", item["superseded_by"]),
        ("expires", item["expires_at"] and f"{when(item['expires_at'])} UTC"),
        ("importance", f"{item['importance']:.1f}"),
        ("tokens", f"{item['tokens']:,}"),
        ("value", json_line(item["value"]) if item["value"] else ""),
        ("reads like", ", ".join(each.replace("_", " ") for each in item["reads_like"])),
    ]
    console.print()
    grid = table("what", "value", stretch="value", wrap=True)
    grid.show_header = False
    for name, value in facts:
        if value:
            grid.add_row(Text(name, style="dim"), plain(value, limit=1200))
    console.print(grid)


def _versions(console: Console, item: Document) -> None:
    grid = table("id", "held from (UTC)", "to", "trust", "text", stretch="text")
    grid.columns[0].min_width = len("● ") + _ID
    for each in item["versions"]:
        ends = when(each["retired_at"])[:16] if each["retired_at"] else "stands"
        here = Text("● " if each["id"] == item["id"] else "  ")
        ended = ends if each["state"] == "active" else each["state"].replace("_", " ")
        grid.add_row(
            Text.assemble(here, (tail(each["id"]), "cyan")),
            when(each["recorded_at"])[:16],
            plain(ended),
            trust(each["trust"]),
            plain(each["text"]),
        )
    console.print(grid)
