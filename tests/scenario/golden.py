"""The golden verdicts: `python -m tests.scenario.golden` writes them anew."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from aurora.ingest.reading import Source
from tests.scenario.running import fixtures, triage

FOLDERS = ("aurora", "microsoft", "microsoft_graph", "suricata")


async def golden_text(folder: str, database: str) -> str:
    """Return the verdicts of a format's fixtures: for each a line of JSON, set out to be read in a diff."""
    sources = [Source(path.name, path.stat().st_size, path=path) for path in fixtures(folder)]
    documents = await triage(database, sources)
    return "".join(json.dumps(document, indent=1, ensure_ascii=False) + "\n" for document in documents)


def golden_file(folder: str) -> Path:
    """Return where the golden verdicts of a format are kept."""
    return Path(__file__).parent / "golden" / f"{folder}.txt"


async def _write() -> None:
    for folder in FOLDERS:
        with tempfile.TemporaryDirectory() as directory:
            text = await golden_text(folder, f"sqlite:///{directory}/aurora.db")
        golden_file(folder).parent.mkdir(exist_ok=True)
        golden_file(folder).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
