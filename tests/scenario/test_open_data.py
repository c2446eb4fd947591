"""Real alerts of real products become verdicts with evidence."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import orjson
import pytest

from aurora.ingest.reading import Source
from tests.scenario.open_data import open_data
from tests.scenario.running import content, triage

pytestmark = pytest.mark.slow

SURICATA = "alerts/suricata_eve.jsonl.xz"
SENTINEL = "alerts/microsoft_sentinel_securityalert.jsonl.xz"


def _source(name: str) -> Source:
    path = open_data(name)
    return Source(path.name, path.stat().st_size, path=path)


async def test_every_alert_has_a_verdict_with_evidence_whatever_the_number_of_jobs(tmp_path: Path) -> None:
    one = await triage(f"sqlite:///{tmp_path / 'one.db'}", [_source(SURICATA), _source(SENTINEL)], jobs=1)
    eight = await triage(f"sqlite:///{tmp_path / 'eight.db'}", [_source(SURICATA), _source(SENTINEL)], jobs=8)

    assert len(one) == 764 + 131
    assert all(each["verdict"] and each["evidence"] and each["claims"] for each in one)
    assert list(map(content, eight)) == list(map(content, one))


async def test_no_severe_alert_is_closed_and_engine_noise_is(tmp_path: Path) -> None:
    documents = await triage(f"sqlite:///{tmp_path / 'aurora.db'}", [_source(SURICATA), _source(SENTINEL)], jobs=4)

    severe = Counter(each["verdict"] for each in documents if each["severity"] in {"high", "critical"})
    noise = Counter(each["verdict"] for each in documents if each["title"].startswith("SURICATA "))
    open_questions = sum(each["verdict"] == "needs_review" for each in documents)
    assert severe["benign"] == 0
    assert set(noise) == {"benign"}
    assert open_questions / len(documents) < 0.15


async def test_alerts_of_one_incident_come_together_in_one_case(tmp_path: Path) -> None:
    """The product's own incident number scores the cases; nothing that is scored reads it."""
    documents = await triage(f"sqlite:///{tmp_path / 'aurora.db'}", [_source(SENTINEL)], jobs=4)
    incidents = [each["ExtendedProperties"].get("IncidentId") for each in _raw(SENTINEL)]

    labelled = [(incident, each["case_id"]) for incident, each in zip(incidents, documents, strict=True) if incident]
    pairs = Counter((one[0] == other[0], one[1] == other[1]) for one, other in combinations(labelled, 2))
    precision = pairs[True, True] / (pairs[True, True] + pairs[False, True])
    recall = pairs[True, True] / (pairs[True, True] + pairs[True, False])

    assert precision >= 0.95
    assert recall >= 0.95


def _raw(name: str) -> list[dict[str, dict[str, str]]]:
    import lzma

    with lzma.open(open_data(name)) as lines:
        return [orjson.loads(line) for line in lines]
