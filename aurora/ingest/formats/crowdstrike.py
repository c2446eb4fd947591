r"""CrowdStrike Falcon: detections and alerts of its APIs, its event stream, and what the sensors record.

| shape | where it comes from | an alert |
|---|---|---|
| `composite_id`, `product`, … | alerts API (v2): endpoint, identity, cloud, mobile, third parties | yes |
| `detection_id`, `device`, `behaviors` | detections API, which the alerts API replaced | yes |
| `metadata.eventType`, `event` | event stream | if the type ends in `DetectionSummaryEvent` |
| `ExternalApiType` | the same event, flat, in Falcon Data Replicator | as above |
| `event_simpleName` | Falcon Data Replicator: what the sensors record | no: context |

An alert needs a name, a technique or the number of a pattern. The rule is the number of the pattern that
fired (of several behaviours, that of the most severe), with that of the customer's own rule where there is
one; else the name. The severity is the name that Falcon gives it; else the number, of 100 (from 80 critical,
60 high, 40 medium, 20 low) or, in old events, of 5. Its time is that of the first behaviour, process or
event that it tells of; when it was written comes last.

Who wrote what (`A` = attacker_writable, `S` = sensor, `D` = identity_server, `H` = human):

| part of the record | fields | |
|---|---|---|
| names of patterns, severity, confidence, tactic, technique, disposition | rule.*, event.*, threat.* | S |
| `description`: it may quote what was seen | event.reason | A |
| the machine, as the sensor knows it | host.* | S |
| image, hashes and number of the process and its parents, and the account it ran as | process.executable, \
  file.hash.*, process.pid, user.name, user.id | S |
| command lines; files accessed and written | process.*command_line; file.path, file.name | A |
| accounts of identity protection | user.*; entities | D |
| addresses and ports of connections, endpoints of log-ons | source.*, destination.*, related.ip | S |
| domains that were asked for; indicators that matched, unless they are hashes | dns.question.name, \
  threat.indicator.name | A |
| `resolution` | event.classification | H |
"""

from __future__ import annotations

import re

from aurora.ingest.formats._crowdstrike import A, Part, Rows, S, tell_detection, tell_device
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, Severity

_DETECTION = "DetectionSummaryEvent"
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_COMPANIONS_OF_ALERT = frozenset({"aggregate_id", "agent_id", "cid", "created_timestamp", "pattern_id", "product"})
_COMPANIONS_OF_STREAM = frozenset({"customerIDString", "eventCreationTime", "offset"})
_COMPANIONS_OF_SENSOR = frozenset({"aid", "aip", "cid", "ContextTimeStamp"})

_SEVERITIES = {
    "informational": Severity.INFO,
    "info": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
_OF_FIVE = (Severity.INFO, Severity.INFO, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
_OF_HUNDRED = ((80, Severity.CRITICAL), (60, Severity.HIGH), (40, Severity.MEDIUM), (20, Severity.LOW))

_NAMES = ("display_name", "name", "DetectName", "Name", "DisplayName", "scenario")
_PATTERNS = ("pattern_id", "PatternId", "PatternID", "behavior_id", "rule_instance_id")
_MOMENTS = (
    "first_behavior",
    "timestamp",
    "context_timestamp",
    "start_time",
    "ProcessStartTime",
    "ContextTimeStamp",
    "StartTime",
    "created_timestamp",
    "CreatedTimeStamp",
)
_ROWS: Rows = (
    (("composite_id", "CompositeId", "detection_id", "DetectId"), "event.id", S),
    (("product", "SourceProducts"), "event.provider", S),
    (("type", "Type"), "event.type", S),
    (("status",), "event.status", S),
    (("confidence", "max_confidence"), "event.confidence", S),
    (("resolution",), "event.classification", Provenance.HUMAN),
)
_PRODUCTS = {
    "epp": "CrowdStrike Falcon Insight",
    "idp": "CrowdStrike Falcon Identity Protection",
    "overwatch": "CrowdStrike Falcon OverWatch",
    "xdr": "CrowdStrike Falcon XDR",
    "ngsiem": "CrowdStrike Falcon Next-Gen SIEM",
    "mobile": "CrowdStrike Falcon for Mobile",
    "cwpp": "CrowdStrike Falcon Cloud Security",
}


class CrowdStrike:
    """Reads what the APIs, the event stream and Falcon Data Replicator give."""

    id = "crowdstrike"
    title = "CrowdStrike Falcon (alerts, detections, event stream)"

    def matches(self, document: Document) -> bool:
        """Tell by the id or type that each shape has, beside a key that only Falcon has with it."""
        if "composite_id" in document:
            return not _COMPANIONS_OF_ALERT.isdisjoint(document)
        if "detection_id" in document:
            return "behaviors" in document or "max_severity_displayname" in document
        if isinstance(metadata := document.get("metadata"), dict) and "eventType" in metadata:
            return isinstance(document.get("event"), dict) and not _COMPANIONS_OF_STREAM.isdisjoint(metadata)
        if "event_simpleName" in document or "ExternalApiType" in document:
            return not _COMPANIONS_OF_SENSOR.isdisjoint(document)
        return False

    def context(self, document: Document) -> str | None:
        """Return the type of an event that is no detection, such as `ProcessRollup2`."""
        if "composite_id" in document or "detection_id" in document:
            return None
        kind = _event_type(document)
        if kind.endswith(_DETECTION):
            return None
        return kind if _KIND.fullmatch(kind) else "event"

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the tables of this module.

        Raises:
            RecordRejected: it names neither pattern nor technique.
        """
        draft = Draft()
        root = _root(draft, document)
        behaviours = sorted(root.parts("behaviors"), key=_number_of, reverse=True)
        first = behaviours[0] if behaviours else root
        for part in (root,) if first is root else (root, first):
            for key in _MOMENTS:
                if key in part.values:
                    draft.moment(part.values[key], f"{part.path}/{key}")
        metadata = document.get("metadata")
        if isinstance(metadata, dict):
            draft.moment(metadata.get("eventCreationTime"), "/metadata/eventCreationTime")
        title, rule = _rule(root, first)
        severity = _severity(root, first)
        root.take_all(_ROWS)
        description = (root if root.key(("description",)) else first).take(
            ("description", "Description", "DetectDescription"), "event.reason", A
        )
        tell_device(root.part("device") if "device" in root.values else root)
        for behaviour in behaviours:
            tell_detection(behaviour)
        if not behaviours:
            tell_detection(root)
        return draft.alert(
            id=id,
            title=title,
            severity=severity,
            source="crowdstrike",
            format=self.id,
            product=_PRODUCTS.get(root.text("product").lower(), "CrowdStrike Falcon"),
            rule=rule,
            description=description,
        )


FORMAT = CrowdStrike()


def _event_type(document: Document) -> str:
    """Return the type of an event of the stream or of a sensor, empty if none is told."""
    metadata = document.get("metadata")
    kind = metadata.get("eventType") if isinstance(metadata, dict) else None
    kind = kind or document.get("ExternalApiType") or document.get("event_simpleName")
    return kind.removeprefix("Event_") if isinstance(kind, str) else ""


def _root(draft: Draft, document: Document) -> Part:
    """Return the object that tells of the detection."""
    event = document.get("event")
    if isinstance(event, dict) and isinstance(document.get("metadata"), dict):
        return Part(draft, event, "/event")
    return Part(draft, document, "")


def _rule(root: Part, first: Part) -> tuple[str, str]:
    """Keep name and id of what fired; return both."""
    part = first if first.key(_NAMES) else root
    title = part.take(_NAMES, "rule.name", S).strip()
    tactic, technique = first.text("tactic", "Tactic"), first.text("technique", "Technique")
    if not title and (tactic or technique):
        title = f"{tactic} via {technique}" if tactic and technique else tactic or technique
    part = first if first.key(_PATTERNS) else root
    pattern, custom = part.text(*_PATTERNS), part.text("rule_instance_id")
    rule = f"{pattern}/{custom}" if custom and custom != pattern else pattern
    if rule:
        root.draft.keep("rule.id", rule, S, f"{part.path}/{part.key(_PATTERNS)}")
    if not title and not rule:
        field = f"{root.path}/display_name"[1:].replace("/", ".")
        raise missing(field, hint="the name of what was detected, its technique, or the number of its pattern")
    return title or f"CrowdStrike pattern {rule}", rule or title


def _severity(root: Part, first: Part) -> Severity:
    """Return the severity by its name, else by its number."""
    name = root.text("severity_name", "SeverityName", "max_severity_displayname")
    root.take(("severity", "Severity", "max_severity"), "event.severity", S)
    if name:
        root.take(("severity_name", "SeverityName", "max_severity_displayname"), "event.severity_name", S)
    if name.lower() in _SEVERITIES:
        return _SEVERITIES[name.lower()]
    key = root.key(("severity", "Severity", "max_severity"))
    part = root if key else first
    key = key or first.key(("severity",))
    if not key:
        return Severity.MEDIUM
    number = _number(part.values[key])
    if number is None:
        root.draft.unread(f"{part.path}/{key}")
        return Severity.MEDIUM
    if key == "Severity" and 0 <= number <= 5 and "CompositeId" not in root.values:
        return _OF_FIVE[int(number)]
    return next((severity for least, severity in _OF_HUNDRED if number >= least), Severity.INFO)


def _number_of(behaviour: Part) -> float:
    return _number(behaviour.values.get("severity")) or 0.0


def _number(value: object) -> float | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 9:
        return float(value)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)
