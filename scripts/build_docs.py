"""Writes the generated pages of docs/reference again: `make docs`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write every page that has changed, and say which."""
    sys.path.insert(0, str(ROOT))
    from scripts import (  # noqa: PLC0415 - on the path set above
        docs_how_to,
        docs_permissions,
        docs_quality,
        docs_rules,
        docs_settings,
    )

    pages = {ROOT / each.PAGE: each.text() for each in (docs_permissions, docs_quality, docs_rules, docs_settings)}
    command_line = runpy.run_path(str(ROOT / "scripts" / "docs_cli.py"))
    pages[command_line["PAGE"]] = command_line["render"]()
    for page, text in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    docs_how_to.main()


if __name__ == "__main__":
    main()
