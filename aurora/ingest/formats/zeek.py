r"""Zeek (once Bro): notices and hits of its intelligence framework among the logs of all that it saw.

A notice (`notice.log`) needs `note`, its type; a hit (`intel.log`) needs `seen.indicator`. All other logs are
context, `weird` among them. Zeek knows no severity: it follows from the type of the notice (see `_zeek.py`),
unless the installation sets `severity.level`. Fields of records in records come as `id.orig_h`, as
`id_orig_h` and as an object `id`; the name of the log as `_path` or `@stream`, or not at all. What Zeek
writes for a value that is not set (`-`, `(empty)`) counts as missing. Tables of tab-separated values arrive
here as objects (see `aurora.ingest.reading.zeek_tables`).

Who wrote what (`A` = attacker_writable, `S` = sensor):

| part of the record | fields | |
|---|---|---|
| addresses, ports, `proto`, `uid`, `community_id`, country and city | source.*, destination.*, network.*, zeek.* | S |
| `note`, `actions`, `n`, `dropped`, `suppress_for`, `severity` | rule.*, event.* | S |
| `msg`, `sub`: sentences of a script that quote the traffic | message, zeek.notice.sub | A |
| `file_mime_type`, `fuid`, hashes: computed by Zeek | file.mime_type, zeek.files.fuid, file.hash.* | S |
| `file_desc`: URL or name of the file | file.name, url.full | A |
| `peer_descr`, `peer_name`, `_system_name`, `@system` | observer.name | S |
| `seen.indicator` that is an address or a hash | threat.indicator.* | S |
| `seen.indicator` of another type: the text stood in the traffic | threat.indicator.* | A |
| `seen.where`, `matched`, `sources`, `cif` | threat.* | S |
"""

from __future__ import annotations

import re
from typing import Any, Final

from aurora.ingest.formats import _zeek
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, ObservableType, Severity
from aurora.kernel.observables import recognise

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_MARKERS: Final = frozenset({"_write_ts", "fuid", "id", "name", "ts", "uid"})
_NOT_SET: Final = frozenset({"-", "(empty)"})

_CONNECTION: Final = (("orig_p", "source.port", _S), ("resp_p", "destination.port", _S))
_PLACE: Final = (
    ("country_code", "zeek.remote_location.country_code", _S),
    ("region", "zeek.remote_location.region", _S),
    ("city", "zeek.remote_location.city", _S),
)
_NOTICE: Final = (
    ("msg", "message", _A, "/msg"),
    ("sub", "zeek.notice.sub", _A, "/sub"),
    ("n", "zeek.notice.count", _S, "/n"),
    ("dropped", "zeek.notice.dropped", _S, "/dropped"),
    ("suppress_for", "zeek.notice.suppress_for", _S, "/suppress_for"),
)
_COMMON: Final = (
    ("uid", "zeek.session_id", _S, "/uid"),
    ("community_id", "network.community_id", _S, "/community_id"),
    ("fuid", "zeek.files.fuid", _S, "/fuid"),
    ("file_mime_type", "file.mime_type", _S, "/file_mime_type"),
)
_OBSERVERS: Final = ("peer_descr", "peer_name", "_system_name", "@system")
_SEEN: Final = (("where", "zeek.intel.seen_where", _S), ("node", "observer.name", _S))
_CIF: Final = (
    ("description", "threat.indicator.description", _S),
    ("confidence", "threat.indicator.confidence", _S),
    ("tags", "threat.indicator.tags", _S),
)
_CVE: Final = re.compile(r"CVE[-_]?(\d{4})[-_]?(\d{4,7})(?!\d)", re.IGNORECASE)
_TECHNIQUE: Final = re.compile(r"\bT1\d{3}(?:\.\d{3})?\b")
_HASH: Final = re.compile(r"\b(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{32}|[0-9a-fA-F]{64})\b")
_HASHES: Final = {
    ObservableType.HASH_MD5: "md5",
    ObservableType.HASH_SHA1: "sha1",
    ObservableType.HASH_SHA256: "sha256",
}


class Zeek:
    """Reads the logs of Zeek 2 to 8, of Bro before it, and of sensors built on them."""

    id = "zeek"
    title = "Zeek (notice, intel and other logs)"

    def matches(self, document: Document) -> bool:
        """Tell by the name of a log, else by what only the records of one log have together."""
        name = _name(document)
        if name and not _MARKERS.isdisjoint(document) and (name in _zeek.LOGS or "_path" in document):
            return True
        return "ts" in document and _log_of(document) is not None

    def context(self, document: Document) -> str | None:
        """Return the name of the log unless it is one of alerts; `other` for one that is not known."""
        log = _log(document)
        return None if log in _ALERTS else log

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: a notice without `note`, or a hit without `seen.indicator`.
        """
        if any(type(value) is str and value in _NOT_SET for value in document.values()):
            document = {key: value for key, value in document.items() if not (type(value) is str and value in _NOT_SET)}
        draft = Draft()
        for key in ("ts", "_write_ts"):
            draft.moment(document.get(key), f"/{key}")
        if _log(document) == "intel":
            return self._hit(draft, document, id)
        return self._notice(draft, document, id)

    def _notice(self, draft: Draft, document: Document, id: AlertId) -> Alert:
        note = draft.take(document, "note", "rule.name", _S, "/note").strip()
        if not note:
            raise missing("note", hint="the type of the notice, such as Scan::Port_Scan")
        _ends(draft, document)
        draft.take_all(document, _NOTICE)
        _actions(draft, document)
        _common(draft, document)
        message, detail = (draft.text(document.get(key), f"/{key}") for key in ("msg", "sub"))
        _mentions(draft, note, message, detail)
        return draft.alert(
            id=id,
            title=f"Zeek {note.replace('::', ': ').replace('_', ' ')}",
            description=message,
            severity=_zeek.severity_of(note, _level(document)),
            source="zeek",
            format=self.id,
            product="Zeek",
            rule=note,
        )

    def _hit(self, draft: Draft, document: Document, id: AlertId) -> Alert:
        holder, before, path = _zeek.section(document, "seen", "indicator") or ({}, "", "")
        value = draft.text(holder.get(before + "indicator"), path + "indicator").strip()
        if not value or value in _NOT_SET:
            raise missing("seen.indicator", hint="the value of the traffic that an indicator matches")
        kind = draft.text(holder.get(before + "indicator_type"), path + "indicator_type").rpartition("::")[2]
        rule = f"Intel::{kind or 'Indicator'}"
        draft.keep("rule.name", rule, _S, path + ("indicator_type" if kind else "indicator"))
        _indicator(draft, value, kind, path)
        draft.take_all(holder, _zeek.rows(_SEEN, before, path))
        _ends(draft, document)
        for key, name in (("matched", "threat.indicator.matched"), ("sources", "threat.indicator.provider")):
            for each in _set(draft, document, key):
                draft.keep(name, each, _S, f"/{key}")
        confident = _zeek.section(document, "cif", "confidence")
        if confident is not None:
            draft.take_all(confident[0], _zeek.rows(_CIF, confident[1], confident[2]))
        _common(draft, document)
        return draft.alert(
            id=id,
            title=f"Zeek Intel: {kind.replace('_', ' ').lower() or 'indicator'} of a threat feed seen",
            severity=Severity.HIGH if kind.endswith("HASH") else Severity.MEDIUM,
            source="zeek",
            format=self.id,
            product="Zeek",
            rule=rule,
        )


FORMAT = Zeek()

_ALERTS: Final = frozenset({"notice", "notice_alarm", "intel"})


def _log(document: Document) -> str:
    """Return the name of the log that a record is of; it is one of a few, whatever the record holds."""
    name = _name(document)
    return name if name in _zeek.LOGS else _log_of(document) or "other"


def _name(document: Document) -> str:
    name = document.get("_path", document.get("@stream"))
    return name if isinstance(name, str) else ""


def _log_of(document: Document) -> str | None:
    """Return the log that a record without its name is of, by the fields that only it has; `None` if none fits."""
    if isinstance(document.get("note"), str) and "msg" in document:
        return "signatures" if "sig_id" in document else "notice"
    if _zeek.section(document, "seen", "indicator") is not None:
        return "intel"
    if isinstance(document.get("uid"), str) and _zeek.section(document, "id", "orig_h") is not None:
        return _by_field(document)
    if isinstance(document.get("fuid"), str) and ("tx_hosts" in document or "seen_bytes" in document):
        return "files"
    if _zeek.section(document, "certificate", "serial") is not None:
        return "x509"
    if "peer" in document and "name" in document and "notice" in document:
        return "weird"
    return None


def _by_field(document: Document) -> str:
    return next((log for key, log in _TELLING if key in document), "other")


_TELLING: Final = (
    ("conn_state", "conn"),
    ("qtype_name", "dns"),
    ("trans_depth", "http"),
    ("cipher", "ssl"),
    ("notice", "weird"),
    ("tx_hosts", "files"),
    ("share_type", "smb_mapping"),
    ("named_pipe", "dce_rpc"),
)


def _ends(draft: Draft, document: Document) -> None:
    """Note who took part: the notice's own `src` and `dst` first, else the ends of its connection."""
    found = _zeek.section(document, "id", "orig_h") or _zeek.section(document, "id", "resp_h")
    holder, before, path = found or (document, "id.", "/id.")
    if found is None and "id" in document and not isinstance(document["id"], (str, dict)):
        draft.unread("/id")
    for own, end, name, other, role in (
        ("src", "orig_h", "source.ip", "client.ip", "source"),
        ("dst", "resp_h", "destination.ip", "server.ip", "destination"),
    ):
        said = draft.take(document, own, name, _S, f"/{own}")
        draft.address(said, _S, role=role)
        connected = holder.get(before + end)
        if connected is not None and connected != said:
            draft.address(draft.keep(other if said else name, connected, _S, path + end), _S, role=role)
    draft.take_all(holder, _zeek.rows(_CONNECTION, before, path))
    if before + "resp_p" not in holder:
        draft.take(document, "p", "destination.port", _S, "/p")
    draft.take(document, "proto", "network.transport", _S, "/proto")


def _common(draft: Draft, document: Document) -> None:
    draft.take_all(document, _COMMON)
    described = draft.text(document.get("file_desc"), "/file_desc")
    if "://" in described:
        draft.observable(ObservableType.URL, draft.keep("url.full", described, _A, "/file_desc"), _A)
    elif described:
        draft.keep("file.name", described, _A, "/file_desc")
        draft.entity(EntityType.FILE, described.lower(), _A)
    for key in _OBSERVERS:
        if key in document:
            draft.take(document, key, "observer.name", _S, f"/{key}")
            break
    place = _zeek.section(document, "remote_location", "country_code")
    if place is not None:
        draft.take_all(place[0], _zeek.rows(_PLACE, place[1], place[2]))


def _actions(draft: Draft, document: Document) -> None:
    for each in _set(draft, document, "actions"):
        draft.keep("event.action", draft.text(each, "/actions").removeprefix("Notice::ACTION_").lower(), _S, "/actions")


def _set(draft: Draft, document: Document, key: str) -> list[Any]:
    """Return the members of a set; older exports write it as text with commas."""
    value = document.get(key)
    if isinstance(value, str):
        return [each for each in value[:1000].split(",") if each]
    return draft.items(document, key, f"/{key}")


def _level(document: Document) -> object:
    found = _zeek.section(document, "severity", "level")
    return None if found is None else found[0].get(found[1] + "level")


def _mentions(draft: Draft, note: str, message: str, detail: str) -> None:
    """Note what the words of a notice say beyond its fields: techniques, vulnerabilities, the hash of a file."""
    if note.startswith("ATTACK::"):
        draft.techniques(_TECHNIQUE.findall(detail[:2000]) + _TECHNIQUE.findall(message[:2000]), _S, "/sub")
    for words, path in ((note, "/note"), (message[:2000], "/msg")):
        if "CVE" not in words:
            continue
        for year, number in _CVE.findall(words):
            found = draft.observable(ObservableType.CVE, f"CVE-{year}-{number}", _S)
            if found is not None:
                draft.keep("vulnerability.id", found.value, _S, path)
    if note.startswith("TeamCymruMalwareHashRegistry::"):
        for digest in _HASH.findall(detail[:2000])[:1]:
            _digest(draft, digest, "/sub")


def _indicator(draft: Draft, value: str, kind: str, path: str) -> None:
    """Note the value of the traffic that matched."""
    type_, provenance = _zeek.INDICATORS.get(kind, (None, _A))
    if kind.endswith("HASH"):
        provenance = _S
        _digest(draft, value, path + "indicator")
    elif type_ is not None:
        draft.observable(
            type_, value if type_ is not ObservableType.URL or "://" in value else f"http://{value}", provenance
        )
    elif kind == "USER_NAME":
        draft.entity(EntityType.USER, value.lower(), _A)
    draft.keep("threat.indicator.name", value, provenance, path + "indicator")
    draft.keep("threat.indicator.type", kind, _S, path + "indicator_type")


def _digest(draft: Draft, digest: str, path: str) -> None:
    try:
        found = recognise(digest)
    except ValueError:
        return
    if found.type in _HASHES:
        draft.seen([found])
        draft.keep(f"file.hash.{_HASHES[found.type]}", found.value, _S, path)
