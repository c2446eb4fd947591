r"""Microsoft SecurityAlert rows: Sentinel, and Defender XDR as its connector writes them (KQL column names).

`Entities`, `ExtendedProperties`, `Techniques` … may be JSON or JSON *text* (as KQL exports them); paths go
on into the text as if it were parsed. References (`$ref` to an `$id`, also of nested objects) are followed,
and a path names the definition. `IncidentId` and keys that begin with `_` are never read. An alert needs
`DisplayName` or `AlertName`. Its time is `StartTime`, else `EndTime`, else `TimeGenerated`.

Who wrote what:

| part of the record | fields | provenance |
|---|---|---|
| name of a built-in detection | rule.name | sensor |
| name of an alert of a Sentinel rule, which may quote the event | rule.name | attacker_writable |
| `Description`, texts that providers compose from names in the event | event.reason | attacker_writable |
| detector, severity, tactics, techniques, threat names, status, verdicts | rule.id, event.*, threat.* | sensor |
| `Classification`, `Determination`: how an analyst closed it | event.classification, event.determination | human |
| account with a SID or an Entra id | user.* | identity_server |
| account without either: a name that somebody typed | user.name | attacker_writable |
| hosts, addresses, images, hashes, registry keys as the EDR recorded them \
  | host.*, *.ip, process.executable, file.hash.*, registry.path | sensor |
| address of a sign-in | source.ip | identity_server |
| command lines, paths of files, URLs, DNS names, user agents, registry values \
  | process.command_line, file.path, url.full, … | attacker_writable |
| sender and subject of a message | email.from.address, email.sender.address, email.subject | attacker_writable |
| recipient, threats, delivery, as the mail server recorded them | email.*, event.action | sensor |

Entities: hosts by full name, accounts by UPN, processes by the path of their image (their command lines and
ids change from one occurrence to the next), files, addresses, mailboxes, applications. Last known addresses
and logged-on users of a host are inventory: fields, no entities.
"""

from __future__ import annotations

import json
import re

from aurora.ingest.formats import _microsoft as common
from aurora.ingest.formats._draft import Draft, Row, missing
from aurora.ingest.formats._microsoft import ANALYST, DIRECTORY, SENSOR, SOURCE, WRITABLE
from aurora.ingest.formats._microsoft_entities import Entities
from aurora.ingest.formats.base import Document, pointer
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType

_JSON_TEXT_LIMIT = 4 * 1024 * 1024
"""Characters of JSON text that are parsed; Log Analytics itself cuts a column at 32 kB."""
_SEPARATORS = re.compile(r"[,;]")
_COMPANIONS = frozenset({"SystemAlertId", "AlertType", "ProviderName", "VendorOriginalId", "ProductName"})
_KINDS = frozenset({"SecurityAlert", "SecurityIncident"})
_CUSTOM_PRODUCTS = frozenset({"azure sentinel", "microsoft sentinel"})
"""Products whose rules, and so the names of their alerts, users write; the name may quote the event."""
_IDENTITY_PROVIDERS = frozenset({"IPC", "AADUEBA", "MCAS"})
"""Providers whose addresses are those of sign-ins, as the identity provider recorded them."""

_EXTENDED: tuple[Row, ...] = tuple(
    (key, name, provenance, pointer("ExtendedProperties", key))
    for key, name, provenance in (
        ("ThreatName", "threat.software.name", SENSOR),
        ("ThreatFamilyName", "threat.software.family", SENSOR),
        ("Category", "rule.category", SENSOR),
        ("MicrosoftDefenderAtp.Category", "rule.category", SENSOR),
        ("DetectionSource", "event.provider", SENSOR),
        ("State", "event.state", SENSOR),
        ("Classification", "event.classification", ANALYST),
        ("Determination", "event.determination", ANALYST),
        ("Detail Description", "event.detail", WRITABLE),
        ("Client Location", "source.geo.name", DIRECTORY),
        ("User Agent", "user_agent.original", WRITABLE),
    )
)


class Microsoft:
    """Reads rows of the table SecurityAlert."""

    id = "microsoft"
    title = "Microsoft Sentinel and Defender XDR (SecurityAlert)"

    def matches(self, document: Document) -> bool:
        """Tell by the names of the columns, which no other product shares."""
        if "AlertSeverity" in document or "AlertName" in document:
            return not _COMPANIONS.isdisjoint(document)
        kind = document.get("Type")
        return isinstance(kind, str) and kind in _KINDS

    def context(self, document: Document) -> str | None:
        """Return `SecurityIncident` for rows of that table: they only group alerts."""
        return "SecurityIncident" if document.get("Type") == "SecurityIncident" else None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: it has no name, or an `AlertSeverity` that Microsoft does not use.
        """
        draft = Draft()
        for column in ("StartTime", "EndTime", "TimeGenerated"):
            draft.moment(document.get(column), f"/{column}")
        column = "DisplayName" if document.get("DisplayName") else "AlertName"
        product = draft.text(document.get("ProductName"), "/ProductName")
        writable = product.strip().lower() in _CUSTOM_PRODUCTS
        title = draft.take(document, column, "rule.name", WRITABLE if writable else SENSOR, f"/{column}")
        if not title.strip():
            raise missing("DisplayName", hint="the name of the alert (or AlertName)")
        severity = common.severity_of(
            draft.take(document, "AlertSeverity", "event.severity", SENSOR, "/AlertSeverity"), field="AlertSeverity"
        )
        extended = _table(draft, document, "ExtendedProperties")
        provider = draft.text(document.get("ProviderName"), "/ProviderName")
        rule = common.rule_id(
            draft.text(extended.get("DetectorId"), "/ExtendedProperties/DetectorId"),
            draft.text(document.get("AlertType"), "/AlertType"),
            provider,
            title,
        )
        draft.keep(
            "rule.id",
            rule,
            SENSOR,
            "/ExtendedProperties/DetectorId"
            if extended.get("DetectorId")
            else f"/{'AlertType' if document.get('AlertType') else column}",
        )
        description = draft.take(document, "Description", "event.reason", WRITABLE, "/Description")
        draft.take(document, "Status", "event.status", SENSOR, "/Status")
        _attack(draft, document, extended)
        draft.take_all(extended, _EXTENDED)
        common.tell_address(
            draft,
            extended.get("Client IP Address"),
            DIRECTORY,
            role="source",
            pointer="/ExtendedProperties/Client IP Address",
        )
        Entities(draft, _list(draft, document, "Entities"), sign_in=provider in _IDENTITY_PROVIDERS).tell()
        _compromised(draft, document)
        vendor = draft.text(document.get("VendorName"), "/VendorName")
        named = product if product.startswith(vendor) else f"{vendor} {product}"
        return draft.alert(
            id=id,
            title=title,
            severity=severity,
            source=SOURCE,
            format=self.id,
            product=named.strip(),
            rule=rule,
            description=description,
        )


FORMAT = Microsoft()


def _attack(draft: Draft, document: Document, extended: Document) -> None:
    tactics = [
        part for value in _list(draft, document, "Tactics") for part in _SEPARATORS.split(draft.text(value, "/Tactics"))
    ]
    common.tell_tactics(draft, tactics, "/Tactics")
    for column in ("Techniques", "SubTechniques"):
        claims = _list(draft, document, column)
        for claim in claims:
            draft.techniques(_SEPARATORS.split(draft.text(claim, f"/{column}")), SENSOR, f"/{column}")
    path = "/ExtendedProperties/MitreTechniques"
    draft.techniques(_SEPARATORS.split(draft.text(extended.get("MitreTechniques"), path)), SENSOR, path)


def _compromised(draft: Draft, document: Document) -> None:
    """Use the compromised entity where the entities name neither host nor account."""
    if draft.has(EntityType.HOST) or draft.has(EntityType.USER):
        return
    name = draft.text(document.get("CompromisedEntity"), "/CompromisedEntity").strip()
    if "@" in name:
        draft.keep("user.name", name, SENSOR, "/CompromisedEntity")
        draft.entity(EntityType.USER, name.lower(), SENSOR)
    elif name:
        draft.keep("host.name", name, SENSOR, "/CompromisedEntity")
        draft.entity(EntityType.HOST, common.host_name(name, "", ""), SENSOR)


def _parsed(draft: Draft, document: Document, column: str) -> object:
    """Return the column, parsed if it is JSON text."""
    value = document.get(column)
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    if len(value) > _JSON_TEXT_LIMIT:
        draft.unread(f"/{column}")
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        draft.unread(f"/{column}")
        return None


def _table(draft: Draft, document: Document, column: str) -> Document:
    return draft.table({column: _parsed(draft, document, column) or None}, column, f"/{column}")


def _list(draft: Draft, document: Document, column: str) -> list[object]:
    return draft.items({column: _parsed(draft, document, column)}, column, f"/{column}")
