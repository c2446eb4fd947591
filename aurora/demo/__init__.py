"""A small sample of our own making that ships with Aurora: one attack, seen by five products, amid noise.

Hosts, people and addresses are invented (`*.example`, documentation and private ranges); detections named
DEMO exist nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aurora.ingest.reading import Source

_DATA = Path(__file__).parent / "data"


def sample_sources() -> list[Source]:
    """Return the sample, in the order in which a person would look at it."""
    from aurora.ingest.reading import Source  # noqa: PLC0415 - `aurora demo --help` needs none of it

    files = [_DATA / name for name in ("aurora.jsonl", "microsoft-securityalert.jsonl", "suricata-eve.jsonl")]
    return [Source(name=f"demo/{file.name}", size_bytes=file.stat().st_size, path=file) for file in files]
