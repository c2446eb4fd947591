"""How one piece of content looks in a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.text import Text

from aurora.cli._show import block, heading, plain, table

if TYPE_CHECKING:
    from rich.console import Console


def print_spec(console: Console, document: dict[str, Any]) -> None:
    """Print what `aurora.services.content.described` tells."""
    console.print(
        Text.assemble(
            (f"{document['kind']} ", "dim"), plain(document["id"], style="bold"), "  ", plain(document["title"])
        )
    )
    grid = table("what", "value", stretch="value", wrap=True)
    grid.show_header = False
    facts: dict[str, str] = {
        key: document[key] for key in ("version", "risk", "origin", "file", "prompt") if key in document
    }
    for key in ("tools", "agents", "nodes", "world", "older_versions", "migrates_from"):
        if document.get(key):
            facts[key.replace("_", " ")] = ", ".join(
                each if isinstance(each, str) else each["id"] for each in document[key]
            )
    for key, value in facts.items():
        grid.add_row(Text(key, style="dim"), plain(value))
    console.print(grid)
    for key in ("description", "doc"):
        if document.get(key):
            console.print()
            console.print(block(document[key]))
    for key, title in (("arguments", "Arguments, as models are shown them"), ("answer", "Form of its answer")):
        if key in document:
            heading(console, title)
            console.print(block(json.dumps(document[key], ensure_ascii=False, indent=2)), soft_wrap=True)
    if "prompt_text" in document:
        heading(console, "Prompt")
        console.print(block(document["prompt_text"]), soft_wrap=True)
