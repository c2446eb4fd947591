"""What a run recalled from memory, in a terminal: how alike, how far trusted, how old, and who cites it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from aurora.cli._memory import age, bar, trust
from aurora.cli._show import heading, plain, tail, verdict

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 6
"""Characters of a bar."""


def print_recalled(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """Print what `recalled` returns; nothing where nothing was recalled."""
    if not found:
        return
    heading(console, "Recalled from memory")
    for each in found:
        line = Text.assemble((each["id"], "cyan"), "  ", plain(each["kind"].replace("_", " ")))
        if each["label"]:
            line.append("  ").append_text(verdict(each["label"]))
        console.print(line)
        line = Text()
        if each["similarity"] is not None:
            line.append("alike ", "dim").append_text(bar(each["similarity"], _BAR))
            line.append(f" {each['similarity']:.0%}  ")
        if each["trust"]:
            line.append("trust ", "dim").append_text(bar(each["trust_share"], _BAR)).append(" ")
            line.append_text(trust(each["trust"])).append("  ")
        if each["age_days"] is not None:
            line.append("fresh ", "dim").append_text(bar(each["freshness"], _BAR)).append(f" {age(each['age_days'])}")
        if line:
            console.print(Padding(line, (0, 0, 0, 4)))
        console.print(Padding(plain(each["text"]), (0, 0, 0, 4)))
        cited = ", ".join(f"{one['rule']} ({one['weight']:+.1f})" for one in each["cited_by"])
        shown = f"cited by {cited}" if cited else "no claim cites it"
        if each["told_by"]:
            shown += f": {each['told_by']} tells what was decided of the very same alert"
        if each["memory"]:
            shown += f"; aurora memory show {tail(each['memory'])}"
        console.print(Padding(plain(shown, style="dim"), (0, 0, 0, 4)))
