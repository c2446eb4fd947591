"""Stored alerts for other programs: Detection Findings of OCSF as JSON lines, or a table."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

from aurora.kernel.errors import InputError
from aurora.kernel.ports.knowledge import AttackKnowledge
from aurora.kernel.untrusted import quoted
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


@contextlib.contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[TextIO]:
    """Open a file that takes its place only when all was written; after an error, nothing is left of it.

    Args:
        path: Where it goes. Who looks meanwhile sees what was there before, or nothing.
        force: Replace a file that is there.

    Raises:
        InputError: a file is there and `force` is not given, or the path cannot be a file.
    """
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a directory" if path.is_dir() else "its directory is not there"
        raise InputError(f"cannot write to {quoted(str(path))}: {why}")
    if path.exists() and not path.is_file():
        raise InputError(f"cannot write to {quoted(str(path))}: it is no ordinary file")
    if not force and os.path.lexists(path):
        raise _exists(path)
    path = path.resolve()  # a link is followed, not replaced
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put(part, path, force=force)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _put(written: Path, path: Path, *, force: bool) -> None:
    if force:
        written.replace(path)
        return
    try:
        # A link, unlike a rename, fails if somebody else was there first.
        path.hardlink_to(written)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # file systems without links
        if path.exists():
            raise _exists(path) from None
        written.replace(path)


def _exists(path: Path) -> InputError:
    return InputError(f"{quoted(str(path))} is there already; --force replaces it")


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
