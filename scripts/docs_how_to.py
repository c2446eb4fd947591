"""Puts the templates of `aurora new` into the how-to pages, so that what a page shows is what is written.

A comment `<!-- template: NAME key=value … -->` says which template the block below it is, and with what its slots
are filled; `NAME#function` is one function of it. `python scripts/docs_how_to.py` writes the blocks again.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from aurora.scaffold.plans import filled

PAGES = Path(__file__).parents[1] / "docs" / "how-to"

_BLOCK = re.compile(
    r"(?P<mark><!-- template: (?P<what>.*?) -->\n)(?P<fence>```\w+\n)(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def rendered(page: str) -> str:
    """Return a page with every block below such a comment filled from its template."""
    return _BLOCK.sub(lambda match: match["mark"] + match["fence"] + _text(match["what"]) + "```", page)


def _text(what: str) -> str:
    name, _, slots = what.partition(" ")
    pairs = re.findall(r"(\w+)=(.*?)(?= \w+=|$)", slots)
    template, _, function = name.partition("#")
    text = filled(template, defaultdict(str, pairs))
    if not function:
        return text
    node = next(each for each in ast.parse(text).body if getattr(each, "name", None) == function)
    lines = text.splitlines(keepends=True)
    return "".join(lines[node.lineno - 1 : node.end_lineno])


def main() -> None:
    """Write the pages that have changed, and say which."""
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := rendered(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.name}")


if __name__ == "__main__":
    main()
