r"""Windows event logs and Sysmon: what happened on a machine, kept for hunts and never an alert of its own.

The exception are the detections of Windows Defender, an antivirus product that has no other log: events
1006, 1007, 1015 and 1116 to 1119 of its operational channel. A detection and what Defender then did about
it are two events with the same threat, file and user, so that they join as one alert. All spellings of
`_windows` are read.

An alert needs the name or the id of the threat. Its time is `Detection Time`, else that of the event. `Severe`
is high, as Defender calls nearly every malware severe.

Who wrote what (`A` = attacker_writable, `S` = sensor):

| data of the event | fields | |
|---|---|---|
| Threat Name, Threat ID, Category Name, Severity Name | rule.*, event.severity, threat.software.name | S |
| names of action, execution, origin, type and source, Error Description | event.*, defender.*, threat.* | S |
| Path | file.path; a URL of `webfile:` as url.full | A |
| Process Name: the image, as Windows started it | process.executable | S |
| Detection User, Remediation User: accounts as Windows knows them | user.name | S |
| Computer | host.name | S |
| versions of product, engine and signatures | observer.version, … | S |
"""

from __future__ import annotations

import re

from aurora.ingest.formats import _microsoft as microsoft
from aurora.ingest.formats._draft import MAX_ITEMS, Draft, missing
from aurora.ingest.formats._windows import NOTHING, Value, event_of, is_event
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, ObservableType, Severity

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_DEFENDER = "microsoft-windows-windows defender/operational"
_DETECTIONS = frozenset({1006, 1007, 1015, 1116, 1117, 1118, 1119})
_KINDS = {
    "security": "security",
    "system": "system",
    "application": "application",
    "windows powershell": "powershell",
    "microsoft-windows-powershell/operational": "powershell",
    "powershellcore/operational": "powershell",
    "microsoft-windows-sysmon/operational": "sysmon",
    "linux-sysmon/operational": "sysmon",
    "linux-sysmon": "sysmon",
    _DEFENDER: "defender",
    "microsoft-windows-wmi-activity/operational": "wmi",
    "microsoft-windows-taskscheduler/operational": "task_scheduler",
    "microsoft-windows-bits-client/operational": "bits",
    "microsoft-windows-winrm/operational": "winrm",
    "microsoft-windows-dns-client/operational": "dns",
    "microsoft-windows-codeintegrity/operational": "code_integrity",
    "microsoft-windows-applocker/exe and dll": "applocker",
    "microsoft-windows-windows firewall with advanced security/firewall": "firewall",
    "microsoft-windows-terminalservices-localsessionmanager/operational": "remote_desktop",
    "microsoft-windows-terminalservices-remoteconnectionmanager/operational": "remote_desktop",
}
"""Channels that have a name of their own among context; a log has hundreds, and anybody may add one."""

_BY_NUMBER = {"1": Severity.LOW, "2": Severity.MEDIUM, "4": Severity.HIGH, "5": Severity.HIGH}
_BY_NAME = {
    "low": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "severe": Severity.HIGH,
}
_ROWS = (
    ("categoryname", "rule.category"),
    ("severityname", "event.severity"),
    ("executionname", "defender.execution"),
    ("originname", "threat.origin"),
    ("typename", "threat.detection.type"),
    ("sourcename", "event.provider"),
    ("detectionid", "event.id"),
    ("errordescription", "error.message"),
    ("productversion", "observer.version"),
    ("engineversion", "observer.engine.version"),
    ("securityintelligenceversion", "observer.signatures.version"),
    ("signatureversion", "observer.signatures.version"),
)
_BLOCKED = frozenset({"quarantine", "remove", "block", "clean", "delete"})
_RESOURCE = re.compile(
    r"(?:^|;\s*+)(amsi|behavior|cmdline|containerfile|file|process|regkey|runkey|service|taskscheduler|uac|webfile):_?",
    re.IGNORECASE,
)
_FILES = frozenset({"containerfile", "file", "webfile"})
_UNTOLD = frozenset({"", "-", "unknown", "n/a", "not applicable"})


class Windows:
    """Recognises Windows events in every spelling; reads the detections of Defender."""

    id = "windows"
    title = "Windows event logs, Sysmon and Defender (JSON, .evtx)"

    def matches(self, document: Document) -> bool:
        """Tell by the number of the event and a key that only Windows events have beside it."""
        return is_event(document)

    def context(self, document: Document) -> str | None:
        """Return a short name of the channel, unless Defender says here that it found something."""
        event = event_of(document)
        if event is None:
            return None
        kind = _KINDS.get(event.channel.lower(), "windows")
        return None if kind == "defender" and event.number in _DETECTIONS else kind

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the detection of Defender; see the table of this module.

        Raises:
            RecordRejected: it is no Windows event, or no threat is named.
        """
        event = event_of(document)
        if event is None:
            raise missing("EventID", hint="the number that says what kind of event it is")
        data = event.data()
        name, number = data.get("threatname", NOTHING), data.get("threatid", NOTHING)
        draft = Draft()
        for moment in (data.get("detectiontime", NOTHING), event.time):
            draft.moment(moment.value, moment.path)
        threat = draft.keep("rule.name", name.value, _S, name.path).strip()
        rule = draft.keep("rule.id", number.value, _S, number.path).strip()
        if not threat and not rule:
            raise missing("Threat Name", hint="what Defender found")
        if threat:
            draft.keep("threat.software.name", name.value, _S, name.path)
        computer = event.computer
        host = draft.keep("host.name", computer.value, _S, computer.path)
        draft.entity(EntityType.HOST, microsoft.host_name(host, "", ""), _S)
        severity = _severity(draft, data)
        for key, field in _ROWS:
            _keep(draft, field, data.get(key, NOTHING))
        _action(draft, data)
        _people(draft, data)
        _resources(draft, data.get("path", NOTHING))
        return draft.alert(
            id=id,
            title=f"Windows Defender: {threat or f'threat {rule}'}",
            severity=severity,
            source="microsoft",
            format=self.id,
            product="Microsoft Defender Antivirus",
            rule=f"defender/{rule or threat}",
        )


FORMAT = Windows()


def _keep(draft: Draft, field: str, value: Value, provenance: Provenance = _S) -> str:
    """Keep what Defender says unless it says that it does not know; return it."""
    text = draft.text(value.value, value.path).strip()
    if text.lower() in _UNTOLD:
        return ""
    draft.keep(field, value.value, provenance, value.path)
    return text


def _severity(draft: Draft, data: dict[str, Value]) -> Severity:
    """Return what Defender gives the threat: by number, which is the same in every language."""
    number, name = data.get("severityid", NOTHING), data.get("severityname", NOTHING)
    by_number = _BY_NUMBER.get(draft.text(number.value, number.path))
    return by_number or _BY_NAME.get(draft.text(name.value, name.path).lower(), Severity.MEDIUM)


def _action(draft: Draft, data: dict[str, Value]) -> None:
    """Keep what Defender did; of `Not Applicable`, which it says of each first event, nothing is kept."""
    action = data.get("actionname", NOTHING)
    text = _keep(draft, "defender.action", action)
    if text:
        draft.keep("event.action", "blocked" if text.lower() in _BLOCKED else "allowed", _S, action.path)


def _people(draft: Draft, data: dict[str, Value]) -> None:
    for key in ("detectionuser", "remediationuser", "user"):
        user = _keep(draft, "user.name", data.get(key, NOTHING))
        if key == "detectionuser":
            draft.entity(EntityType.USER, user.lower(), _S)
    executable = _keep(draft, "process.executable", data.get("processname", NOTHING))
    draft.entity(EntityType.PROCESS, microsoft.same_path(executable), _S)


def _resources(draft: Draft, path: Value) -> None:
    r"""Keep the files and addresses that a detection names: `file:_C:\a.exe; webfile:_C:\b.exe|http://…|pid:1`."""
    text = draft.text(path.value, path.path)
    _, *parts = _RESOURCE.split(text, maxsplit=MAX_ITEMS)
    if text and not parts:
        microsoft.tell_file(draft, text.strip(), pointer=path.path)
    for kind, resource in zip(parts[::2], parts[1::2], strict=True):
        where, *more = resource.split("|")
        if kind.lower() in _FILES:
            microsoft.tell_file(draft, where.strip(), pointer=path.path)
        elif kind.lower() in {"regkey", "runkey"}:
            draft.keep("registry.path", where.strip(), _A, path.path)
        for url in more:
            if "://" in url:
                draft.observable(ObservableType.URL, draft.keep("url.full", url.strip(), _A, path.path), _A)
