"""Stored alerts for other programs: Detection Findings of OCSF as JSON lines, or a table."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal

from aurora.kernel.ports.knowledge import AttackKnowledge
from aurora.services import _csv, _ocsf
from aurora.storage.repositories.alerts import Outcome
from aurora.storage.unit_of_work import Storage

ExportFormat = Literal["ocsf", "csv"]

_UNTOLD = frozenset(
    {"affected_assets", "alert_id", "asset_type", "assigned_agent", "batch_id", "batch_seq", "dedup_hash", "group_id"}
    | {"metadata", "raw_log", "tenant"}
)
_WITHOUT: Mapping[ExportFormat, frozenset[str]] = {"ocsf": _UNTOLD, "csv": _UNTOLD | {"evidence", "fields"}}
"""Columns that an export does not tell."""


async def exported(
    storage: Storage,
    *,
    format: ExportFormat,
    version: str,
    filters: Mapping[str, str | None] | None = None,
    limit: int | None = None,
    attack: AttackKnowledge | None = None,
) -> AsyncGenerator[tuple[int, str], None]:
    """Yield the export piece by piece: how many alerts it holds, and its text.

    The newest alerts come first, duplicates are counted with the alert they repeat. Some hundred alerts are in
    memory at a time, however many there are. JSON is ASCII, so nothing in it moves a cursor.

    Args:
        storage: Where the alerts are.
        format: `ocsf`: a Detection Finding a line; `csv`: a table with a header, as RFC 4180 has it.
        version: Version of this Aurora, for the findings.
        filters: Values of `verdict`, `severity`, `status` and `source` that the alerts must have.
        limit: So many alerts at most.
        attack: Where names of techniques come from.
    """
    if format == "csv":
        yield 0, _csv.header()
    left = limit
    async with storage.reading() as transaction:
        async for page in transaction.alerts.matching(**(filters or {}), without=_WITHOUT[format]):
            outcomes = page if left is None else page[:left]
            wanted = sorted({each.alert["case_id"] for each in outcomes if each.alert["case_id"] is not None})
            cases = await transaction.cases.by_id(wanted)
            lines = [_line(each, cases, format=format, version=version, attack=attack) for each in outcomes]
            yield len(lines), "".join(lines)
            if left is not None:
                left -= len(outcomes)
                if left <= 0:
                    return


def _line(
    outcome: Outcome,
    cases: Mapping[Any, Mapping[str, Any]],
    *,
    format: ExportFormat,
    version: str,
    attack: AttackKnowledge | None,
) -> str:
    case = cases.get(outcome.alert["case_id"])
    if format == "csv":
        return _csv.line(outcome, case)
    document = _ocsf.finding(outcome, case, version=version, attack=attack)
    return json.dumps(document, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"
