"""The documentation that is written from the code is current."""

from __future__ import annotations

import re
from pathlib import Path

from scripts import docs_settings

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_current() -> None:
    assert (ROOT / docs_settings.PAGE).read_text(encoding="utf-8") == docs_settings.text(), "run `make docs`"


def test_every_setting_says_what_it_is_for() -> None:
    rows = [line for line in docs_settings.text().splitlines() if line.startswith("| `")]

    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


def test_links_between_the_pages_lead_somewhere() -> None:
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
        (ROOT / "docs").rglob("*.md")
    )

    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert dead == []
