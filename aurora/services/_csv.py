"""Alerts as a table for spreadsheets: fixed columns, RFC 4180, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aurora.kernel.untrusted import clean
from aurora.services.outcomes import Document, outcome_document, ranked, told
from aurora.storage.repositories.alerts import Outcome

COLUMNS: Final = (
    "alert_id",
    "time",
    "first_seen",
    "last_seen",
    "count",
    "severity",
    "status",
    "verdict",
    "confidence",
    "score",
    "title",
    "reason",
    "source",
    "product",
    "format",
    "rule",
    "techniques",
    "hosts",
    "users",
    "addresses",
    "files",
    "other_entities",
    "observables",
    "claims",
    "decided_by",
    "decided_name",
    "degraded",
    "case_id",
    "case_title",
    "run_id",
    "file",
    "line",
)
"""In this order for good: new ones come last, so that what reads by position keeps reading."""
NUMBERS: Final = frozenset({"count", "confidence", "score", "line"})
"""Columns of Aurora's own numbers; they are written bare, a minus included."""

_LONGEST: Final = 32_000
"""Characters of a cell: spreadsheets cut at 32,767, and in the middle of what Excel then takes for a new row."""
_BETWEEN: Final = "; "
_BLANKS: Final = re.compile(r"[\r\n\t\v\f\x1c-\x1f\x85\u2028\u2029]+")
_HARMLESS: Final = re.compile(rf"[A-Za-z0-9][ -~]{{0,{_LONGEST - 1}}}")
"""What `defused` leaves as it is: most cells, told in a tenth of the time."""
_FORMULA: Final = frozenset("=+-@\u2212")
"""What begins a formula; the last is the minus sign of typography, which has no plain form in Unicode."""
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00b4\uff02\uff07"
_COLUMN_OF: Final = {"host": "hosts", "user": "users", "address": "addresses", "file": "files"}


def header() -> str:
    """Return the line with the names of the columns."""
    return _line(COLUMNS)


def line(outcome: Outcome, case: Mapping[str, Any] | None) -> str:
    """Return the line of one alert, with CR and LF at its end as RFC 4180 has it."""
    values = _values(outcome, case)
    return _line(_number(values[name]) if name in NUMBERS else defused(values[name]) for name in COLUMNS)


def defused(value: object) -> str:
    """Return text for one cell: on one line, controls made visible, with an apostrophe before what is a formula.

    Spreadsheets take for a formula what begins with `=`, `+`, `-` or `@`, some also after blanks, a tab or quotes,
    some in full-width or superscript form ("CSV Injection", OWASP).
    """
    text = "" if value is None else str.__str__(value) if isinstance(value, str) else str(value)
    if not text or _HARMLESS.fullmatch(text):
        return text
    shown = clean(_BLANKS.sub(" ", text[:_LONGEST]))[:_LONGEST]
    return f"'{shown}" if _is_formula(text) or _is_formula(shown) else shown


def _is_formula(text: str) -> bool:
    if text[:1] in {"\t", "\r", "\n"}:
        return True
    for character in text:
        if not (character.isspace() or character in _QUOTES):
            return unicodedata.normalize("NFKC", character)[:1] in _FORMULA
    return False


def _values(outcome: Outcome, case: Mapping[str, Any] | None) -> Document:
    alert, verdict = outcome.alert, outcome.verdict or {}
    entities: dict[str, list[str]] = {}
    for each in alert["entities"]:
        column = _COLUMN_OF.get(each["type"])
        shown = each["value"] if column else f"{each['type']}:{each['value']}"
        entities.setdefault(column or "other_entities", []).append(shown)
    document = outcome_document(outcome)
    return {
        **dict.fromkeys(COLUMNS),
        **{name: value for name, value in document.items() if name in COLUMNS},
        **{name: alert[name] for name in ("count", "status", "product", "rule")},
        **{column: _BETWEEN.join(values) for column, values in entities.items()},
        "first_seen": told(alert["first_seen"]),
        "last_seen": told(alert["last_seen"]),
        "score": verdict.get("score"),
        "reason": verdict.get("reason"),
        "techniques": _BETWEEN.join(document["techniques"]),
        "observables": _BETWEEN.join(f"{each['type']}:{each['value']}" for each in alert["iocs"]),
        "claims": _BETWEEN.join(each["claim"]["text"] for each in ranked(verdict.get("contributions", ()))),
        "decided_name": verdict.get("decided_name"),
        "degraded": "true" if document["degraded"] else "false",
        "case_title": case["title"] if case else None,
    }


def _number(value: object) -> object:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _line(cells: Iterable[object]) -> str:
    # All text in quotes: where a semicolon parts the columns, it must not part a cell either.
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerow(cells)
    return written.getvalue()
