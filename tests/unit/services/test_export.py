"""Exports: findings that the published schema accepts and our own reader reads, and tables without formulas."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
import tracemalloc
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf.v1_5_0.events import DetectionFinding
from ocsf.v1_5_0.objects import Ticket
from pydantic import BaseModel

from aurora.ingest.formats.registry import Formats
from aurora.ingest.rows import alert_row
from aurora.kernel.errors import InputError
from aurora.kernel.ids import BatchId
from aurora.kernel.models import Alert
from aurora.knowledge.attack import Attack
from aurora.services import _csv, _ocsf
from aurora.services.export import exported
from aurora.services.files import new_file
from aurora.storage.repositories.alerts import Outcome
from aurora.storage.repositories.batches import Batch
from tests.unit.ingest.alert_fixtures import ALL
from tests.unit.ingest.alert_fixtures import alert as fixture
from tests.unit.ingest.alert_fixtures import field as values

MORNING = datetime(2026, 6, 16, 8, 0, 0, 123_000, tzinfo=UTC)
ATTACK = Attack()
ALERTS = [name for name in ALL if "/context_" not in name]
CASE = {"id": UUID(int=7), "title": "=Case", "severity": "high", "status": "open"}

OF_THE_INCIDENT_PROFILE = {"verdict", "verdict_id", "ticket"}
"""Attributes that the schema adds where `metadata.profiles` names it; the models of the classes do not have them."""


def outcome_of(alert: Alert, **verdict: Any) -> Outcome:
    """Return an alert as storage gives it, with a verdict unless `verdict` is `None`."""
    row = alert_row(
        alert,
        raw=b"{}",
        dedup_hash="0" * 64,
        at=alert.time or MORNING,
        seq=0,
        batch=Batch(BatchId(UUID(int=1)), "accepting", MORNING),
        now=MORNING,
        tenant="default",
    )
    for key in ("iocs", "entities", "fields", "mitre_techniques", "affected_assets", "metadata"):
        row[key] = json.loads(row[key])
    concluded = {
        "id": UUID(int=5),
        "label": "malicious",
        "confidence": 0.917,
        "score": -5.0,
        "reason": "It does what attackers do",
        "evidence": [each.model_dump(mode="json") for each in alert.evidence()],
        "contributions": [
            {
                "rule": "lab.rule",
                "weight": 9.0,
                "closes": False,
                "claim": {"text": "@a claim", "evidence": ["f1"]},
                "techniques": [],
            }
        ],
        "techniques": ["T1059.001", "T1105"],
        "dropped": [],
        "decided_by": "rules",
        "decided_name": "rules@1",
        "degraded": False,
        "run_id": UUID(int=9),
        "created_at": MORNING,
        **verdict,
    }
    return Outcome(
        record_id=alert.id,
        file="-a.jsonl",
        line=3,
        alert={**row, "case_id": CASE["id"], "status": "triaged"},
        verdict=None if verdict.get("label", "x") is None else concluded,
        event_time=alert.time,
        run_id=UUID(int=9),
    )


def finding(outcome: Outcome, case: dict[str, Any] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(_ocsf.finding(outcome, case, version="1.2.3", attack=ATTACK)))
    return document


def beyond_the_schema(model: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted paths of what a validated finding has and the schema does not know."""
    if isinstance(model, BaseModel):
        yield from (path + key for key in model.model_extra or {})
        for key in type(model).model_fields:
            yield from beyond_the_schema(getattr(model, key), f"{path}{key}.")
    elif isinstance(model, list):
        for each in model:
            yield from beyond_the_schema(each, path)


@pytest.mark.parametrize("name", ALERTS)
def test_a_finding_of_any_alert_is_valid_and_has_only_attributes_of_the_schema(name: str) -> None:
    document = finding(outcome_of(fixture(name)), CASE)

    validated = DetectionFinding.model_validate(document)

    assert document["metadata"]["version"] == "1.5.0"
    assert set(beyond_the_schema(validated)) <= OF_THE_INCIDENT_PROFILE | {"unmapped.aurora"}
    assert document["metadata"]["profiles"] == ["incident"]
    assert list(beyond_the_schema(Ticket.model_validate(document["ticket"]))) == []


@pytest.mark.parametrize("name", ALERTS)
def test_our_own_reader_reads_a_finding_back(name: str) -> None:
    before = fixture(name)
    outcome = outcome_of(before, label=None)

    document = finding(outcome)
    reader = Formats().by_id("ocsf")
    after = reader.normalise(document, id=before.id)

    assert [each.id for each in Formats() if each.matches(document)] == ["ocsf"]
    assert (after.title, after.severity, after.mitre_techniques) == (
        before.title,
        before.severity,
        before.mitre_techniques,
    )
    assert after.rule == before.rule.strip()
    assert after.time == _to_ms(before.time or MORNING), "an alert without a time has that of its acceptance"
    lost = {
        (each.type.value, each.value)
        for each in before.observables
        if each.type.value not in {"registry_key", "mutex", "domain", "file_path"}
    } - {(each.type.value, each.value) for each in after.observables}
    assert lost == set()
    hosts = {each.value for each in before.entities if each.type.value in {"host", "user", "address", "file"}}
    assert hosts <= {each.value for each in after.entities} | {each.value for each in after.observables}


def test_our_own_verdict_does_not_come_back_as_somebody_elses() -> None:
    document = finding(outcome_of(fixture("suricata/tls")))

    after = Formats().by_id("ocsf").normalise(document, id=fixture("suricata/tls").id)

    assert values(after, "event.classification") == []
    assert values(after, "aurora.verdict") == ["true positive"]


@pytest.mark.parametrize(
    ("label", "number", "word"),
    [
        ("malicious", 2, "True Positive"),
        ("suspicious", 4, "Suspicious"),
        ("needs_review", 7, "Insufficient Data"),
        ("benign", 5, "Benign"),
    ],
)
def test_the_verdict_is_that_of_the_incident_profile(label: str, number: int, word: str) -> None:
    document = finding(outcome_of(fixture("suricata/minimal"), label=label))

    assert (document["verdict_id"], document["verdict"]) == (number, word)
    assert (document["confidence_score"], document["confidence"]) == (92, "High")
    assert document["message"] == "It does what attackers do"
    assert "comment" not in document


def test_an_analysts_reason_is_a_comment_and_a_closed_alert_a_closed_finding() -> None:
    outcome = outcome_of(fixture("suricata/minimal"), label="benign", decided_by="analyst")
    closed = Outcome(**{**_parts(outcome), "alert": {**outcome.alert, "status": "false_positive"}})

    document = finding(closed)

    assert document["comment"] == "It does what attackers do"
    assert (document["activity_name"], document["type_uid"], document["status"]) == ("Close", 200403, "Suppressed")


def test_claims_cite_the_evidence_that_stands_in_the_finding() -> None:
    document = finding(outcome_of(fixture("suricata/tls")))

    (claim,) = document["unmapped"]["aurora"]["verdict"]["claims"]
    cited = {each["uid"]: each for each in document["evidences"] if "uid" in each}
    assert set(claim["evidence"]) <= set(cited)
    assert cited["f1"]["data"]["provenance"] == "sensor"


def test_techniques_have_names_tactics_and_the_version_of_attack() -> None:
    document = finding(outcome_of(fixture("suricata/tls")))

    first = document["finding_info"]["attacks"][0]
    assert (first["technique"]["uid"], first["sub_technique"]["uid"]) == ("T1059", "T1059.001")
    assert first["sub_technique"]["name"] == "PowerShell"
    assert first["version"] == ATTACK.version
    assert first["tactics"][0]["name"] == "Execution"


def test_an_alert_that_waits_has_its_fields_and_no_verdict() -> None:
    document = finding(outcome_of(fixture("suricata/tls"), label=None))

    assert "verdict_id" not in document
    assert document["unmapped"]["aurora"]["fields"][0]["id"] == "f1"


def test_hashes_go_with_the_file_only_where_there_is_one() -> None:
    def hashes(name: str) -> list[int]:
        found = finding(outcome_of(fixture(name)))["evidences"]
        return [len(each["file"].get("hashes", [])) for each in found if "file" in each]

    assert hashes("zeek/malware_hash_over_smb") == [1]
    assert all(number == 0 for number in hashes("microsoft/endpoint_process_tree"))


# --- tables ---------------------------------------------------------------------------------------

_dangerous = st.text(
    st.sampled_from(
        "=+-@\t\r\n \u00a0\u3000\"'\uff1d\uff0b\uff0d\uff20\ufe62\u207a\u208c\u2212\u200b\ufeff\u202e\x00\x1b;,|aß1"
    )
    | st.characters(),
    max_size=12,
)


def starts_a_formula(cell: str) -> bool:
    """Tell what a careless spreadsheet may do: blanks skipped, and forms of a sign taken for the sign."""
    bare = unicodedata.normalize("NFKC", cell.lstrip())
    return bare[:1] in {"=", "+", "-", "@", "\u2212"} or cell[:1] in {"\t", "\r", "\n"}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(text=_dangerous)
def test_no_cell_of_text_can_start_a_formula(text: str) -> None:
    line = _csv._line([_csv.defused(text), _csv.defused(f"{text}{text}")])

    (cells,) = csv.reader(io.StringIO(line, newline=""), strict=True)

    assert not any(starts_a_formula(cell) for cell in cells)
    assert not any(character in cell for cell in cells for character in "\x00\x1b\u202e\u200b\r\n\t")
    assert len(cells) == 2


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        '"=1',
        "'=1",
        " '\" =1",
        "\uff1d1",
        "\uff20a",
        "\uff0d1",
        "\u207c1",
        "\u00a0=1",
    ],
)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str) -> None:
    assert _csv.defused(text).startswith("'")


@pytest.mark.parametrize("text", ["a=1", "1-1", "kim@example.com", "", "C:\\a", "(=1)", "T1059"])
def test_what_is_none_stays_as_it_is(text: str) -> None:
    assert _csv.defused(text) == text


@settings(max_examples=60, deadline=None, derandomize=True)
@given(hostile=_dangerous)
def test_a_row_has_every_column_and_numbers_stay_numbers(hostile: str) -> None:
    outcome = outcome_of(fixture("suricata/tls"), reason=hostile, decided_name=hostile)
    outcome.alert["title"] = hostile  # type: ignore[index]  # a dictionary, whatever the port says
    outcome.alert["entities"][0]["value"] = hostile

    text = _csv.header() + _csv.line(outcome, {**CASE, "title": hostile})
    header, row = csv.reader(io.StringIO(text, newline=""), strict=True)

    assert tuple(header) == _csv.COLUMNS
    cells = dict(zip(header, row, strict=True))
    assert (cells["score"], cells["confidence"], cells["count"]) == ("-5.0", "0.917", "1")
    assert not any(starts_a_formula(cell) for name, cell in cells.items() if name not in _csv.NUMBERS)
    assert text.endswith("\r\n")
    assert text.count("\n") == 2


def test_an_alert_without_verdict_has_empty_numbers() -> None:
    header, row = csv.reader(
        io.StringIO(_csv.header() + _csv.line(outcome_of(fixture("suricata/tls"), label=None), None))
    )

    cells = dict(zip(header, row, strict=True))
    assert (cells["score"], cells["verdict"], cells["case_title"]) == ("", "", "")


def test_the_columns_are_those_that_programs_rely_on() -> None:
    assert ",".join(_csv.COLUMNS) == (
        "alert_id,time,first_seen,last_seen,count,severity,status,verdict,confidence,score,title,reason,source,product,"
        "format,rule,techniques,hosts,users,addresses,files,other_entities,observables,claims,decided_by,decided_name,"
        "degraded,case_id,case_title,run_id,file,line"
    )


def test_a_cell_is_no_longer_than_a_spreadsheet_takes() -> None:
    assert len(_csv.defused("=" + "\x00" * 40_000)) <= 32_767


# --- streaming and files --------------------------------------------------------------------------


class ManyAlerts:
    """Storage with as many alerts as asked for, made when they are read."""

    def __init__(self, number: int, *, page: int = 50, weight: int = 20_000) -> None:
        self.alerts = self.cases = self
        self._number, self._page, self._weight = number, page, weight
        self.asked: list[dict[str, Any]] = []
        self.pages = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ManyAlerts]:
        yield self

    async def matching(self, *, without: frozenset[str], **filters: Any) -> AsyncIterator[list[Outcome]]:
        self.asked.append(filters)
        self.left_out = without
        for start in range(0, self._number, self._page):
            self.pages += 1
            yield [self._outcome(number) for number in range(start, min(start + self._page, self._number))]

    async def by_id(self, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
        return dict.fromkeys(ids, CASE)

    def _outcome(self, number: int) -> Outcome:
        outcome = outcome_of(fixture("suricata/minimal"), evidence=[])
        return Outcome(**{**_parts(outcome), "alert": {**outcome.alert, "description": f"{number} " * self._weight}})


class OneAlert(ManyAlerts):
    """A storage of one alert."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(1)
        self.outcome = outcome

    def _outcome(self, number: int) -> Outcome:
        return self.outcome


async def _pieces(storage: Any, **options: Any) -> list[tuple[int, str]]:
    return [piece async for piece in exported(storage, version="1", **options)]


async def test_an_export_is_streamed_whatever_its_size() -> None:
    storage, size = ManyAlerts(400, page=20), 0
    tracemalloc.start()

    async for _, text in exported(storage, format="ocsf", version="1"):  # type: ignore[arg-type]  # all that is asked of it
        size += len(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size > 30_000_000
    assert peak < 15_000_000


@pytest.mark.parametrize(
    ("limit", "expected", "pages"), [(None, 120, 3), (1, 1, 1), (50, 50, 1), (70, 70, 2), (500, 120, 3)]
)
async def test_a_limit_ends_the_reading(limit: int | None, expected: int, pages: int) -> None:
    storage = ManyAlerts(120, weight=1)

    found = await _pieces(storage, format="ocsf", limit=limit, filters={"verdict": "benign"})

    assert sum(number for number, _ in found) == expected
    assert sum(text.count("\n") for _, text in found) == expected
    assert storage.pages == pages
    assert storage.asked == [{"verdict": "benign"}]


@pytest.mark.parametrize("format", ["ocsf", "csv"])
async def test_columns_that_are_left_out_are_not_missed(format: str) -> None:
    whole = OneAlert(outcome_of(fixture("suricata/minimal")))
    before = await _pieces(whole, format=format)

    after = await _pieces(OneAlert(without(whole.outcome, whole.left_out)), format=format)

    assert "raw_log" in whole.left_out
    assert after == before


def without(outcome: Outcome, names: frozenset[str]) -> Outcome:
    alert, verdict = (
        None if table is None else {name: value for name, value in table.items() if name not in names}
        for table in (outcome.alert, outcome.verdict)
    )
    return Outcome(**{**_parts(outcome), "alert": alert, "verdict": verdict})


async def test_a_table_without_alerts_has_its_header() -> None:
    assert await _pieces(ManyAlerts(0), format="csv") == [(0, _csv.header())]


async def test_json_lines_are_plain_ascii_without_controls() -> None:
    made = ManyAlerts(1, weight=0)._outcome(0)
    hostile = Outcome(**{**_parts(made), "alert": {**made.alert, "title": "\x1b[31m\u202e\x7f\x00 ü 😀"}})

    ((_, text),) = await _pieces(OneAlert(hostile), format="ocsf")

    assert all(32 <= ord(character) < 127 or character == "\n" for character in text)
    assert json.loads(text)["finding_info"]["title"] == hostile.alert["title"]


def test_a_file_is_there_when_it_is_complete_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    with new_file(path) as file:
        file.write("a\r\nb\n")
        assert not path.exists()

    assert path.read_bytes() == b"a\r\nb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before")

    with pytest.raises(asyncio.CancelledError), new_file(path, force=True) as file:  # noqa: PT012 - it must fail inside
        file.write("half")
        raise asyncio.CancelledError

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before")

    with pytest.raises(InputError, match="--force"), new_file(path):
        pytest.fail("it was opened")
    with new_file(path, force=True) as file:
        file.write("after")

    assert path.read_text() == "after"


def test_of_two_writers_at_once_one_gets_the_file_and_the_other_is_told(tmp_path: Path) -> None:
    path, told = tmp_path / "out.jsonl", list[str]()
    together = threading.Barrier(2, timeout=10)

    def write(name: str) -> None:
        try:
            with new_file(path) as file:
                together.wait()
                file.write(name)
        except InputError:
            told.append(name)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(told) == 1
    assert {path.read_text(), *told} == {"first", "second"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [".", "missing/out.csv"])
def test_a_path_that_can_be_no_file_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot write"), new_file(tmp_path / name, force=True):
        pytest.fail("it was opened")


def _to_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + timedelta(milliseconds=round(moment.microsecond / 1000))


def _parts(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in Outcome.__slots__}
