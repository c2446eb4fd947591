"""Strict readers for what people write: every fault names its key and says what belongs there."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, TypeVar

from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._microsoft import same_path
from aurora.ingest.formats._moments import moment_of
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType, Severity
from aurora.kernel.observables import recognise
from aurora.kernel.untrusted import clean

_Word = TypeVar("_Word", EntityType, ObservableType, Provenance)

_NAME = re.compile(r"[A-Za-z@][A-Za-z0-9_.@-]{0,127}")
_TECHNIQUE = re.compile(r"T\d{4}(?:[./]\d{3})?", re.IGNORECASE)
_SEVERITIES = {severity.value: severity for severity in Severity} | {"informational": Severity.INFO}
_MAX_LIST = 10_000
"""Entries of a list that are looked at; the draft keeps fewer. More is no alert but a table."""


def fault(path: str, expected: str) -> RecordRejected:
    """Return the rejection that says what belongs at the dotted path."""
    return RecordRejected(f"{path} must be {expected}", reason="invalid_value", field=path)


def shown(key: str) -> str:
    """Return a key of the record fit for a message."""
    return clean(key[:64]) or "(empty key)"


def scalar(value: object, path: str) -> str:
    """Return text, a number or a truth value as text; empty if there is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    raise fault(path, "text")


def required(document: Any, key: str, hint: str) -> str:
    """Return the text of a key that must be there."""
    value = document.get(key)
    text = value.strip() if isinstance(value, str) else scalar(value, key)
    if not text:
        raise missing(key, hint=hint)
    return text


def severity(value: object) -> Severity:
    """Return the severity, written in any case."""
    if value is None or value == "":
        raise missing("severity", hint=f"one of {', '.join(Severity)}")
    found = _SEVERITIES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise fault("severity", f"one of {', '.join(Severity)}")
    return found


def time(value: object) -> datetime | None:
    """Return the moment, `None` if there is none."""
    if value is None or value == "":
        return None
    moment = moment_of(value)
    if moment is None:
        raise fault("time", "a moment between 1970 and 2200 such as 2026-11-20T08:15:00Z")
    return moment


def items(value: object, path: str) -> list[Any]:
    """Return a list, or one piece of text as a list of one."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise fault(path, "a list")
    if len(value) > _MAX_LIST:
        raise fault(path, f"a list of at most {_MAX_LIST} entries")
    return value


def techniques(draft: Draft, value: object, path: str, *, tell: bool) -> None:
    """Note ATT&CK ids, as fields too if `tell`."""
    for number, claim in enumerate(items(value, path)):
        if not isinstance(claim, str) or _TECHNIQUE.fullmatch(claim.strip()) is None:
            raise fault(f"{path}.{number}", "an ATT&CK id such as T1059.001")
        where = f"/{path}/{number}" if isinstance(value, list) else f"/{path}"
        draft.techniques((claim,), Provenance.SENSOR, where, tell=tell)


def told(value: object) -> frozenset[str]:
    """Return the names in a list of fields, those of malformed entries left out."""
    entries = value if isinstance(value, list) else []
    names = (entry.get("name") for entry in entries if isinstance(entry, dict))
    return frozenset(name for name in names if isinstance(name, str))


def fields(draft: Draft, value: object) -> None:
    """Keep further fields: an object of name and value, or a list as Aurora writes it."""
    if value is None:
        return
    if isinstance(value, dict):
        for name, entry in value.items():
            path = f"fields.{shown(name)}"
            if isinstance(entry, dict):
                text, provenance = scalar(entry.get("value"), f"{path}.value"), _provenance(entry, path)
            else:
                text, provenance = scalar(entry, path), Provenance.ATTACKER_WRITABLE
            draft.keep(_field_name(name, path), text, provenance, f"/fields/{name}"[:256])
        return
    for number, entry in enumerate(items(value, "fields")):
        path = f"fields.{number}"
        table = _object(entry, path, "an object with name, value, provenance and path")
        name = _field_name(scalar(table.get("name"), f"{path}.name"), f"{path}.name")
        text = scalar(table.get("value"), f"{path}.value")
        origin = scalar(table.get("path"), f"{path}.path") or f"/fields/{number}"
        draft.keep(name, text, _provenance(table, path), origin[:256])


def entities(draft: Draft, value: object) -> None:
    """Note entities, each an object with type and value."""
    for number, entry in enumerate(items(value, "entities")):
        path = f"entities.{number}"
        table = _object(entry, path, "an object with type and value")
        type_ = _word(EntityType, table.get("type"), f"{path}.type")
        name = scalar(table.get("value"), f"{path}.value").strip()
        if not name:
            raise missing(f"{path}.value", hint="the name, address or path")
        role = scalar(table.get("role"), f"{path}.role")[:32]
        entity(draft, type_, name, _provenance(table, path, default=Provenance.SENSOR), role=role, path=f"{path}.value")


def entity(draft: Draft, kind: EntityType, value: str, provenance: Provenance, *, role: str, path: str) -> None:
    """Note one entity under its canonical name; an address is an observable, too."""
    name = draft.text(value.strip(), f"/{path}")
    if kind is EntityType.ADDRESS:
        found = draft.observable(ObservableType.IP, name, provenance)
        if found is None:
            raise fault(path, "an IP address")
        name = found.value
    elif kind in (EntityType.PROCESS, EntityType.FILE):
        name = same_path(name)
    else:
        name = name.lower().rstrip(".")
    draft.entity(kind, name, provenance, role=role)


def observables(draft: Draft, value: object, path: str) -> None:
    """Note observables: text whose form tells the type, or objects with type and value."""
    for number, entry in enumerate(items(value, path)):
        where = f"{path}.{number}"
        if isinstance(entry, str):
            try:
                draft.seen((recognise(entry),))
            except ValueError:
                raise fault(
                    where, "an address, name, URL, hash, path or the like, or an object with type and value"
                ) from None
            continue
        table = _object(entry, where, "text, or an object with type and value")
        type_ = _word(ObservableType, table.get("type"), f"{where}.type")
        provenance = _provenance(table, where, default=Provenance.SENSOR)
        observable(draft, type_, scalar(table.get("value"), f"{where}.value"), provenance, path=f"{where}.value")


def observable(draft: Draft, kind: ObservableType, value: str, provenance: Provenance, *, path: str) -> None:
    """Note one observable of a known type."""
    if draft.observable(kind, value, provenance) is None:
        raise fault(path, f"a value of the type {kind.value}")


def _object(value: object, path: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise fault(path, expected)
    return value


def _word(kind: type[_Word], value: Any, path: str) -> _Word:
    try:
        return kind(value)
    except ValueError:
        raise fault(path, f"one of {', '.join(kind)}") from None


def _provenance(table: dict[str, Any], path: str, *, default: Provenance = Provenance.ATTACKER_WRITABLE) -> Provenance:
    """Return the provenance that the record states, except that no record can vouch for a person."""
    value = table.get("provenance")
    stated = default if value is None else _word(Provenance, value, f"{path}.provenance")
    return Provenance.AGENT_DERIVED if stated is Provenance.HUMAN else stated


def _field_name(name: str, path: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise fault(path, "a name such as process.command_line")
    return name
