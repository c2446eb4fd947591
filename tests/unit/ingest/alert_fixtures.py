"""The alert fixtures: small records of our own making, one folder a format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from aurora.ingest.formats.registry import Formats
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert

FOLDER = Path(__file__).parents[2] / "fixtures" / "alerts"
ALERT_ID = AlertId(UUID("01935000-0000-7000-8000-000000000001"))

ALL = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.json"))
"""Names such as `suricata/tls`."""


def document(name: str) -> dict[str, Any]:
    """Return the record of a fixture; a fresh one at every call."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def alert(name: str, **changes: Any) -> Alert:
    """Return the normalised alert of a fixture, top-level keys changed as told."""
    return Formats().by_id(name.partition("/")[0]).normalise(document(name) | changes, id=ALERT_ID)


def field(of: Alert, name: str) -> list[str]:
    """Return the values of a field, in order, as plain text."""
    return [str.__str__(each.value) for _, each in of.named(name)]


def provenance(of: Alert, name: str) -> Provenance:
    """Return the provenance of the first field of that name."""
    return next(each.provenance for _, each in of.named(name))


def entities(of: Alert) -> set[tuple[str, str]]:
    """Return (type, value) of every entity."""
    return {(entity.type.value, entity.value) for entity in of.entities}


def observables(of: Alert) -> set[tuple[str, str]]:
    """Return (type, value) of every observable."""
    return {(each.type.value, each.value) for each in of.observables}
