"""Every fixture, triaged: the output is the same to the byte.

A change here is a change of verdicts that analysts will see. Look at the difference; when it is
meant, write the files anew with `python -m tests.scenario.golden`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.golden import FOLDERS, golden_file, golden_text


@pytest.mark.parametrize("folder", FOLDERS)
async def test_the_verdicts_of_all_fixtures_are_the_same_to_the_byte(folder: str, tmp_path: Path) -> None:
    text = await golden_text(folder, f"sqlite:///{tmp_path / 'aurora.db'}")

    assert text == golden_file(folder).read_text(encoding="utf-8")
