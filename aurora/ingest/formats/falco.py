"""Falco: one JSON object an alert, of the engine itself (`json_output`) or as Falcosidekick passes it on.

An alert needs `rule`, which is also what identifies the rule: Falco gives its rules no other id. The severity is
the priority, on the scale that Falcosidekick uses for OCSF: Debug and Informational info, Notice low, Warning
medium, Error high, Critical and above critical. Falco's own guide to priorities fits: Error is writing of state,
Warning unauthorised reading, Notice unexpected behaviour, Informational a breach of good practice. The engine's
own counters (`Falco internal: metrics snapshot`) are context; that it lost events is an alert.

Who wrote what (`A` = attacker_writable, `S` = sensor, `I` = identity_server):

| part of the record | fields | |
|---|---|---|
| `rule`, `priority`, `tags`, `hostname`, `source` | rule.*, event.severity, threat.*, host.name, event.dataset | S |
| `output`: quotes whatever the rule's author put into it | message | A |
| what the kernel says: path of the program, ids, addresses, ports | process.executable, user.*, source.*, … | S |
| command lines, names of processes, files, domains, arguments | process.*, file.*, event.args, … | A |
| container, image and pod names: chosen by whoever started them | container.*, orchestrator.* | A |
| container id, and the engine's own words for what happened | container.id, event.action | S |
| users of Kubernetes, CloudTrail, Okta, GitHub and GCP plugins | user.name | I |

Entities are host (for system calls), user, program, file, image and addresses; no entity has a process id or the
id of a container, which differ in every occurrence.
"""

from __future__ import annotations

import re

from aurora.ingest.formats import _falco_fields as fields
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._tree import Reader, spots
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, Severity

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_PRIORITIES = {
    "emergency": Severity.CRITICAL,
    "alert": Severity.CRITICAL,
    "critical": Severity.CRITICAL,
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "notice": Severity.LOW,
    "informational": Severity.INFO,
    "info": Severity.INFO,
    "debug": Severity.INFO,
}
_LOCAL = frozenset({"", "internal", "syscall"})
"""Sources whose events happened on the machine that Falco runs on."""
_METRICS = "Falco internal: metrics snapshot"
_TECHNIQUE = re.compile(r"[Tt]\d{4}(?:\.\d{3})?")
_TACTIC = "mitre_"
_CONNECTION = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?:(\d+)->\[?([0-9a-fA-F.:]+?)\]?:(\d+)")
_NO_FILE = re.compile(r"(?:pipe|socket|anon_inode|eventfd|memfd):", re.IGNORECASE)


class Falco:
    """Reads what Falco and Falcosidekick write as JSON."""

    id = "falco"
    title = "Falco (JSON output)"

    def matches(self, document: Document) -> bool:
        """Tell by rule, priority and output, which no other product writes beside each other."""
        priority = document.get("priority")
        return (
            isinstance(priority, str)
            and priority.lower() in _PRIORITIES
            and isinstance(document.get("rule"), str)
            and ("output_fields" in document or "output" in document)
        )

    def context(self, document: Document) -> str | None:
        """Return `metrics` for the engine's counters."""
        return "metrics" if document.get("rule") == _METRICS else None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: it names no rule.
        """
        draft = Draft()
        reader = Reader(draft)
        draft.moment(document.get("time"), "/time")
        rule = draft.take(document, "rule", "rule.name", _S, "/rule").strip()
        if not rule:
            raise missing("rule", hint="the name of the rule that fired")
        severity = _severity(draft, document)
        source = draft.take(document, "source", "event.dataset", _S, "/source")
        # A plugin reads the events of a service: the machine it runs on took no part in them.
        is_local = source in _LOCAL
        host = draft.take(document, "hostname", "host.name" if is_local else "observer.name", _S, "/hostname")
        draft.entity(EntityType.HOST, host.lower() if is_local else "", _S)
        _tags(draft, document)
        told = draft.table(document, "output_fields", "/output_fields")
        if draft.time is None:
            for key in ("evt.time.iso8601", "evt.rawtime", "evt.time"):
                draft.moment(told.get(key), f"/output_fields/{key}")
        reader.read(fields.TREE, told, "/output_fields")
        _descriptor(reader)
        _image(reader)
        output = draft.take(document, "output", "message", _A, "/output")
        return draft.alert(
            id=id,
            title=rule,
            severity=severity,
            source="falco",
            format=self.id,
            product="Falco",
            rule=rule,
            description=output,
        )


FORMAT = Falco()


def _severity(draft: Draft, document: Document) -> Severity:
    word = draft.take(document, "priority", "event.severity", _S, "/priority")
    severity = _PRIORITIES.get(word.strip().lower())
    if severity is None:
        if word:
            draft.unread("/priority")
        return Severity.MEDIUM
    return severity


def _tags(draft: Draft, document: Document) -> None:
    """Keep the tags: ATT&CK ids, tactics as `mitre_credential_access`, and whatever else the rule's author noted."""
    for tag, path in spots(draft, document, "tags", "/tags"):
        text = draft.text(tag, path)
        if _TECHNIQUE.fullmatch(text):
            draft.techniques((text,), _S, path)
        elif text.startswith(_TACTIC):
            tactic = text.removeprefix(_TACTIC).replace("_", " ").title().replace(" And ", " and ")
            draft.keep("threat.tactic.name", tactic, _S, path)
        else:
            draft.keep("rule.tag", text, _S, path)


def _descriptor(reader: Reader) -> None:
    """Read the name of a descriptor: a path, or the two ends of a connection."""
    if "fd.name" not in reader.held:
        return
    draft = reader.draft
    text, path = reader.held["fd.name"]
    ends = _CONNECTION.fullmatch(text)
    if ends is None:
        if not _NO_FILE.match(text):
            fields.file_of(draft, reader.keep("file.path" if "/" in text else "file.name", text, _A, path), _A, path)
        return
    for name, role, address, port in (
        ("source", "source", ends[1], ends[2]),
        ("destination", "destination", ends[3], ends[4]),
    ):
        if f"{name}.ip" not in reader.values:
            reader.keep(f"{name}.ip", address, _S, path)
            reader.keep(f"{name}.port", port, _S, path)
            draft.address(address, _S, role=role)


def _image(reader: Reader) -> None:
    """Note the image of the container, or its name where the image is not told, as an application."""
    repository = reader.held_text("container.image.repository")
    if repository:
        text, path = reader.held["container.image.repository"]
        tag = reader.held_text("container.image.tag")
        reader.keep("container.image.name", f"{text}:{tag}" if tag else text, _A, path)
    container = repository or reader.values.get("container.image.name") or reader.values.get("container.name", "")
    if container != "host":
        reader.draft.entity(EntityType.APPLICATION, container.lower(), _A, role="container")
