"""A graph in the terminal: one node a line, in reading order, with where it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from aurora.cli._layout import END, START, Drawing
from aurora.cli._show import plain

if TYPE_CHECKING:
    from rich.console import Console

    from aurora.sdk.spec import GraphSpec

_NAMES = {START: "start", END: "end"}


def print_drawing(console: Console, spec: GraphSpec, drawing: Drawing) -> None:
    """Print a graph.

    A node whose only way leads to the next line has just an arrow; all other ways are named.
    """
    console.print(
        Text.assemble(
            plain(spec.title, style="bold"), ("  ", ""), plain(f"{spec.id} version {spec.version}", style="dim")
        )
    )
    console.print(plain(spec.description))
    console.print()
    nodes = [node for row in drawing.rows for node in row]
    width = max(len(node) for node in spec.nodes)
    for number, node in enumerate(nodes):
        is_end = node in _NAMES
        name = plain(_NAMES.get(node, node), style="dim" if is_end else "bold cyan")
        mark = "○" if is_end else "●"
        if is_end or not drawing.texts[node]:
            console.print(Text.assemble("  ", mark, " ", name))
        else:
            name.pad_right(width - len(name) + 2)
            text = plain(drawing.texts[node])
            lines = text.wrap(console, max(20, console.width - width - 6))
            console.print(Text.assemble("  ", mark, " ", name, lines[0]))
            for line in lines[1:]:
                console.print(Padding(Text.assemble(("│", "dim"), " " * (width + 3), line), (0, 0, 0, 2)))
        ways = drawing.from_node(node)
        following = nodes[number + 1] if number + 1 < len(nodes) else None
        if [way.target for way in ways] != [following]:
            for way in ways:
                label = f" ({way.label})" if way.label else ""
                console.print(Text.assemble(("  │  → ", "dim"), plain(_NAMES.get(way.target, way.target) + label)))
        if following is not None:
            console.print(Text("  │" if following in [way.target for way in ways] else "  ╎", style="dim"))
