"""The tutorial and the how-to pages work as a new user would follow them, in a fresh environment, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import docs_how_to
from tests.house.walkthrough import Shell, blocks, follow, matches

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("write-*.md"))
INSTALL = "pip install --quiet aurora-soc"


@pytest.fixture
def shell(wheels, tmp_path) -> Iterator[Shell]:
    """A shell of somebody who has nothing yet."""
    with Shell.open(tmp_path, wheels=wheels) as shell:
        yield shell


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_the_tutorial_works_from_nothing(page, shell) -> None:
    commands = follow(page, shell, after=lambda command: shell.lend() if command == INSTALL else None)

    assert commands >= 10


@pytest.mark.slow
def test_the_how_to_pages_work_for_somebody_who_has_aurora(shell) -> None:
    for command in ("python3 -m venv .venv", ". .venv/bin/activate", INSTALL):
        assert shell.run(command)[0] == 0
    shell.lend()
    home = shell.value("$PWD")

    for page in HOW_TO:
        shell.run(f"cd {home}")
        if "plugin project" in page.read_text(encoding="utf-8"):
            shell.run(f"rm -rf mail-desk && aurora new plugin mail-desk --empty && cd {home}/mail-desk")
        assert follow(page, shell) >= 2, page


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_nothing_of_the_tutorial_is_only_to_be_read_but_the_settings_of_a_model(page) -> None:
    assert [block.language for block in blocks(page) if not block.is_followed] == ["toml"]


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_code_on_a_how_to_page_is_what_is_written(page) -> None:
    text = page.read_text(encoding="utf-8")

    only_read = [block for block in blocks(page) if not block.is_followed]

    assert docs_how_to.rendered(text) == text, "run `python scripts/docs_how_to.py`"
    assert text.count("<!-- template: ") == len(only_read), "what nobody executes comes from a template"


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("a  b\n", "a      b  \n\n", True),
        ("a …\nc", "a b b\nc\n", True),
        ("a\nb", "a\nb\nc", False),
        ("  a", "a\n", True),
        ("a\n  b", "a\nb", False),
    ],
)
def test_what_is_shown_is_compared_with_what_is_said(shown, said, same) -> None:
    assert matches(shown, said) is same
