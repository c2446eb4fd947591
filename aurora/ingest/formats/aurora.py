r"""Aurora's own JSON: an alert as Aurora writes it, or a plain one as people and scripts write it by hand.

The plain form, of which `title`, `severity` and `source` are required:

    {"title": "Encoded PowerShell", "severity": "high", "source": "edr", "time": "2026-11-20T08:15:00Z",
     "host": "ws-7.corp.example", "user": "CORP\\kim", "process": "C:\\Windows\\explorer.exe",
     "command_line": "powershell -enc …", "iocs": ["198.51.100[.]7"], "mitre_techniques": ["T1059.001"]}

`fields` takes every other value under its Elastic Common Schema name, either as
`{"network.bytes": 512}` or as `{"user_agent.original": {"value": "…", "provenance": "attacker_writable"}}`.
The full form is what `Alert.model_dump(mode="json")` gives: there `fields`, `entities` and `observables` are
lists of objects. An alert that is read again is a new one: its id, status and format are not taken over.

Because people write this form, nothing is guessed: an unknown key, a malformed value or a moment that cannot
be read rejects the record with a message that says what belongs there. Keys that begin with `_` are notes
of the writer and never read.

| key | field | provenance |
|---|---|---|
| title, rule, category, severity, action, outcome, status, tactics | rule.*, event.*, threat.tactic.name | sensor |
| description | event.reason | attacker_writable |
| host, user | host.name, user.name | sensor |
| src_ip, src_port, dst_ip, dst_port, protocol, direction | source.*, destination.*, network.* | sensor |
| process, parent_process | process.executable, process.parent.executable | sensor |
| registry_key, sha256, sha1, md5 | registry.path, file.hash.* | sensor |
| command_line, parent_command_line | process.command_line, process.parent.command_line | attacker_writable |
| file, url, domain, user_agent | file.path, url.full, url.domain, user_agent.original | attacker_writable |
| email_from, email_subject | email.from.address, email.subject | attacker_writable |
| fields without a provenance | the name given | attacker_writable |

A file cannot prove who wrote it: the provenance `human` is read as `agent_derived`, which nothing trusts.
"""

from __future__ import annotations

import difflib
from typing import Final

from aurora.ingest.formats import _aurora as read
from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._microsoft import same_path
from aurora.ingest.formats.base import Document
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, AlertStatus, EntityType, ObservableType

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_PLAIN: Final = (
    ("category", "rule.category", _S),
    ("severity", "event.severity", _S),
    ("action", "event.action", _S),
    ("outcome", "event.outcome", _S),
    ("description", "event.reason", _A),
    ("status", "event.status", _S),
    ("src_port", "source.port", _S),
    ("dst_port", "destination.port", _S),
    ("direction", "network.direction", _S),
    ("command_line", "process.command_line", _A),
    ("parent_process", "process.parent.executable", _S),
    ("parent_command_line", "process.parent.command_line", _A),
    ("email_subject", "email.subject", _A),
)
_ENTITIES: Final = (
    ("host", "host.name", _S, EntityType.HOST, ""),
    ("user", "user.name", _S, EntityType.USER, ""),
    ("src_ip", "source.ip", _S, EntityType.ADDRESS, "source"),
    ("dst_ip", "destination.ip", _S, EntityType.ADDRESS, "destination"),
    ("process", "process.executable", _S, EntityType.PROCESS, ""),
    ("file", "file.path", _A, EntityType.FILE, ""),
)
_OBSERVABLES: Final = (
    ("sha256", "file.hash.sha256", _S, ObservableType.HASH_SHA256),
    ("sha1", "file.hash.sha1", _S, ObservableType.HASH_SHA1),
    ("md5", "file.hash.md5", _S, ObservableType.HASH_MD5),
    ("url", "url.full", _A, ObservableType.URL),
    ("domain", "url.domain", _A, ObservableType.DOMAIN),
    ("user_agent", "user_agent.original", _A, ObservableType.USER_AGENT),
    ("email_from", "email.from.address", _A, ObservableType.EMAIL),
    ("registry_key", "registry.path", _S, ObservableType.REGISTRY_KEY),
)
_TRANSPORTS: Final = frozenset({"tcp", "udp", "icmp", "ipv6-icmp", "sctp"})
_KEYS: Final = frozenset(
    {
        "id",
        "title",
        "source",
        "format",
        "product",
        "rule",
        "time",
        "entities",
        "observables",
        "iocs",
        "mitre_techniques",
        "tactics",
        "fields",
        "protocol",
        *(row[0] for table in (_PLAIN, _ENTITIES, _OBSERVABLES) for row in table),
    }
)


class Aurora:
    """Reads alerts that Aurora or a person wrote."""

    id = "aurora"
    title = "Aurora (own JSON, also written by hand)"

    def matches(self, document: Document) -> bool:
        """Tell by `title` beside `severity` and `source`, or beside nothing but known keys."""
        if "title" not in document:
            return False
        return ("severity" in document and "source" in document) or all(
            key in _KEYS or key.startswith("_") for key in document
        )

    def context(self, document: Document) -> str | None:
        """Return `None`: every record is an alert."""
        return None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: a required key is missing, a key is unknown or a value malformed.
        """
        _only_known_keys(document)
        title = read.required(document, "title", "what was detected, in a few words")
        severity = read.severity(document.get("severity"))
        source = read.required(document, "source", "the family of the product, e.g. suricata, edr, mail")
        draft = Draft()
        draft.time = read.time(document.get("time"))
        for key in ("id", "format"):
            read.scalar(document.get(key), key)
        product = read.scalar(document.get("product"), "product")
        rule = read.scalar(document.get("rule"), "rule") or title
        description = read.scalar(document.get("description"), "description")
        listed = document.get("fields")
        told = read.told(listed)
        if isinstance(listed, list):
            read.fields(draft, listed)
        for key in ("observables", "iocs"):
            read.observables(draft, document.get(key), key)
        read.entities(draft, document.get("entities"))
        stated = "rule" if document.get("rule") else "title"
        for name, value, key in (("rule.name", title, "title"), ("rule.id", rule, stated)):
            if name not in told:
                draft.keep(name, value, _S, f"/{key}")
        _plain(draft, document, told)
        read.techniques(
            draft, document.get("mitre_techniques"), "mitre_techniques", tell="threat.technique.id" not in told
        )
        if not isinstance(listed, list):
            read.fields(draft, listed)
        return draft.alert(
            id=id,
            title=title,
            severity=severity,
            source=source,
            format=self.id,
            product=product,
            rule=rule,
            description=description,
        )


FORMAT = Aurora()


def _only_known_keys(document: Document) -> None:
    for key in document:
        if key in _KEYS or key.startswith("_"):
            continue
        near = difflib.get_close_matches(key, _KEYS, n=1)
        advice = f"did you mean {near[0]}?" if near else "put it into fields, under its Elastic Common Schema name"
        raise RecordRejected(
            f"there is a key that Aurora does not know: {advice}", reason="unknown_key", field=read.shown(key)
        )


def _plain(draft: Draft, document: Document, told: frozenset[str]) -> None:
    """Keep the keys of the plain form, except what the list of fields of a full one tells already."""
    for key, name, provenance in _PLAIN:
        value = read.scalar(document.get(key), key)
        if name not in told and not (key == "status" and value == AlertStatus.NEW):
            draft.keep(name, value, provenance, f"/{key}")
    protocol = read.scalar(document.get("protocol"), "protocol").lower()
    draft.keep("network.transport" if protocol in _TRANSPORTS else "network.protocol", protocol, _S, "/protocol")
    for number, word in enumerate(read.items(document.get("tactics"), "tactics")):
        where = f"/tactics/{number}" if isinstance(document["tactics"], list) else "/tactics"
        draft.keep("threat.tactic.name", read.scalar(word, f"tactics.{number}"), _S, where)
    for key, name, provenance, kind, role in _ENTITIES:
        value = draft.keep(name, read.scalar(document.get(key), key), provenance, f"/{key}")
        if value:
            read.entity(draft, kind, value, provenance, role=role, path=key)
        if value and kind is EntityType.FILE and ("/" in value or "\\" in value):
            draft.observable(ObservableType.FILE_PATH, same_path(value), provenance)
    for key, name, provenance, type_ in _OBSERVABLES:
        value = draft.keep(name, read.scalar(document.get(key), key), provenance, f"/{key}")
        if value:
            read.observable(draft, type_, value, provenance, path=key)
