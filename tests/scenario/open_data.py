"""Where the open data set lies; a test that needs it skips loudly where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("OPEN_DATA", Path(__file__).parents[3] / "shared" / "data" / "open"))


def open_data(name: str) -> Path:
    """Return a file of the open data set; skips the test, and says so, if it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"THE OPEN DATA SET IS MISSING: no {path.name}; set OPEN_DATA to its folder")
    return path
