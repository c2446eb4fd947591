r"""Findings of AWS GuardDuty, as `GetFindings`, EventBridge or exports to S3 write them.

A finding needs `Type`, which is its rule: `Recon:EC2/PortProbeUnprotectedPort`. Keys may be those of the
SDKs (`AccountId`) or of the service (`accountId`); EventBridge puts the finding into `detail`. Its time is
when GuardDuty saw it first (`Service.EventFirstSeen`), else `CreatedAt`. The severity is AWS's: from 9 critical,
from 7 high, from 4 medium, from 1 low. Archived findings are alerts, too; `event.status` says so.

Who wrote what (`A` = attacker_writable, `S` = sensor, `D` = identity_server):

| part of the finding | fields | |
|---|---|---|
| type, severity, ids, counts, what GuardDuty measured: addresses, ports, directions, places, providers | \
  rule.*, event.*, cloud.*, source.*, destination.*, network.* | S |
| `Title`, `Description`: they quote names of machines, users and buckets | event.summary, event.reason | A |
| instances, buckets, clusters, databases, functions: ids and ARNs of AWS | host.*, cloud.resource.* | S |
| the name of an instance, names in Kubernetes, container names and images | host.name, orchestrator.*, \
  container.* | A |
| identities: type, name and id as AWS knows them; groups of Kubernetes | user.* | D |
| the session name of a role, user names that were only tried | user.id, user.session.name, user.name | A |
| call, service, error code, verb; user agent, URI, parameters | event.action, …; user_agent.original, url.path | S; A |
| domain that was asked for | dns.question.name | A |
| executables and hashes that the agent saw; names, folders, command lines, scripts | process.*, file.hash.*; … | S; A |
| names of threats, lists and scanners; paths of what was found | threat.*; file.path, file.name | S; A |
| steps and indicators of an attack sequence | event.signal, threat.* | S |
"""

from __future__ import annotations

import re

from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._guardduty_actions import tell_action, tell_malware, tell_runtime, tell_sequence
from aurora.ingest.formats._guardduty_resources import tell_resources
from aurora.ingest.formats._guardduty_table import A, Columns, S, Table
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, Severity

_TYPE = re.compile(r"[A-Za-z]{3,32}:[A-Za-z0-9]{2,32}/[^\s]{3,200}")
_THRESHOLDS = ((9, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM), (1, Severity.LOW))
_TACTICS = {
    "CredentialAccess": "Credential Access",
    "DefenseEvasion": "Defense Evasion",
    "Discovery": "Discovery",
    "Execution": "Execution",
    "Exfiltration": "Exfiltration",
    "Impact": "Impact",
    "InitialAccess": "Initial Access",
    "Persistence": "Persistence",
    "PrivilegeEscalation": "Privilege Escalation",
    "Recon": "Reconnaissance",
    "Backdoor": "Command and Control",
    "Cryptocurrency": "Impact",
}
"""The purposes by which GuardDuty names its types, as ATT&CK calls them; the others are no tactic."""

_FINDING: Columns = (
    ("AccountId", "cloud.account.id", S),
    ("Region", "cloud.region", S),
    ("Id", "event.id", S),
    ("Title", "event.summary", A),
    ("Confidence", "event.confidence", S),
)
_SERVICE: Columns = (
    ("Count", "event.count", S),
    ("ResourceRole", "event.role", S),
    ("FeatureName", "event.provider", S),
    ("EventLastSeen", "event.end", S),
    ("UserFeedback", "event.classification", Provenance.HUMAN),
)


class GuardDuty:
    """Reads findings of all types, in the envelope of EventBridge or bare."""

    id = "guardduty"
    title = "AWS GuardDuty findings"

    def matches(self, document: Document) -> bool:
        """Tell by the source of the envelope, or by the form of the type beside keys of a finding."""
        finding = document
        if isinstance(detail := document.get("detail"), dict):
            if document.get("source") == "aws.guardduty":
                return True
            finding = detail
        if "AccountId" in finding:
            return "Service" in finding and _is_type(finding.get("Type"))
        return "accountId" in finding and "service" in finding and _is_type(finding.get("type"))

    def context(self, document: Document) -> str | None:
        """Return `None`: all findings are alerts."""
        return None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: the finding has no type.
        """
        draft = Draft()
        detail = document.get("detail")
        finding = Table(draft, detail, "/detail") if isinstance(detail, dict) else Table(draft, document)
        service = finding.table("Service")
        for table, key in ((service, "EventFirstSeen"), (finding, "CreatedAt"), (finding, "UpdatedAt")):
            if draft.time is None:
                draft.moment(table.get(key), table.path(key))
        rule = finding.take("Type", "rule.name", S).strip()
        if not rule:
            raise missing(finding.path("Type")[1:].replace("/", "."), hint="the type of the finding")
        severity = _severity(finding)
        finding.take_all(_FINDING)
        description = finding.take("Description", "event.reason", A)
        purpose = rule.partition(":")[0]
        draft.keep("rule.category", purpose, S, finding.path("Type"))
        if purpose in _TACTICS:
            draft.keep("threat.tactic.name", _TACTICS[purpose], S, finding.path("Type"))
        service.take_all(_SERVICE)
        if service.get("Archived") is True:
            draft.keep("event.status", "archived", S, service.path("Archived"))
        account = finding.text("AccountId")
        tell_resources(finding.table("Resource"), account=account, role=service.text("ResourceRole"))
        if service:
            tell_action(service.table("Action"))
            tell_runtime(service.table("RuntimeDetails"))
            tell_malware(service)
            tell_sequence(service.table("Detection").table("Sequence"))
            _additional(service.table("AdditionalInfo"))
        return draft.alert(
            id=id,
            title=finding.text("Title") or rule,
            severity=severity,
            source="aws",
            format=self.id,
            product="AWS GuardDuty",
            rule=rule,
            description=description,
        )


FORMAT = GuardDuty()


def _is_type(value: object) -> bool:
    return isinstance(value, str) and _TYPE.fullmatch(value) is not None


def _severity(finding: Table) -> Severity:
    number = finding.get("Severity")
    finding.take("Severity", "event.severity", S)
    if isinstance(number, str):
        try:
            number = float(number)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        if finding.get("Severity") is not None:
            finding.draft.unread(finding.path("Severity"))
        return Severity.MEDIUM
    return next((severity for least, severity in _THRESHOLDS if number >= least), Severity.INFO)


def _additional(more: Table) -> None:
    """Keep from what differs between types: the list that named the threat, and whether it is a sample."""
    if not more:
        return
    more.take("ThreatListName", "threat.feed.name", S)
    more.take("ThreatName", "threat.software.name", S)
    value = more.get("Value")
    if more.get("Sample") is True or (isinstance(value, str) and '"sample":true' in value.replace(" ", "")[:200_000]):
        key = "Sample" if more.get("Sample") is True else "Value"
        more.draft.keep("event.sample", True, S, more.path(key))
