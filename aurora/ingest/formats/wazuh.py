"""Wazuh `alerts.json`: one object an alert, bare or as a search hit of the indexer; OSSEC's older form too.

An alert needs `rule.id` or `rule.description`. Records of `archives.json` that no rule matched, or one of level 0
(which Wazuh calls ignored), are context. What the alert wraps in `data` (a Suricata record, a Windows event, an
answer of VirusTotal) is read for what it says, and the alert stays Wazuh's.

The rule is `rule.id`; where one rule of Wazuh stands for many detections of somebody else, their id follows:
`86601/1:2010935` is Suricata's 1:2010935, `19007/28500` a check of the hardening policy, `80302/<type>` a finding
of GuardDuty, `510/<title>` an anomaly that the rootkit check found.

Severity by `rule.level`, after the table "Rules classification" of Wazuh's manual: 0 to 3 are events without
relevance and authorised ones (info), 4 to 6 errors and attacks without effect (low), 7 to 11 from "may have some
relevance" to repeated errors and integrity warnings (medium), 12 to 14 events of high importance (high), 15 and 16
severe attacks without chance of a false positive (critical). Wazuh's own dashboard draws the same lines at 7, 12
and 15.

`rule.mitre.tactic` beside `rule.mitre.id` is not read: Wazuh looks up *every* tactic of the technique, so that each
login (T1078) would be called privilege escalation, which its rule never said.

Who wrote what (`A` = attacker_writable, `S` = sensor, `I` = identity_server):

| part of the record | fields | |
|---|---|---|
| `rule`: words of the rule's author | rule.*, event.severity, threat.* | S |
| `rule.description` where it repeats a value that is `A`, or one that this format does not know | rule.name | A |
| `agent`, `manager`, `decoder`, `location` | host.name, host.ip, observer.name, event.module, log.file.path | S |
| `full_log`, and what stood in the line: host, program, users, URL, command | event.original, … | A |
| addresses, ports, action that a decoder found | source.*, destination.*, event.action | S |
| `win`, `audit`, `syscheck`: what the kernel says | process.executable, user.name, registry.path, file.hash.* | S |
| command lines, file names, names asked for, scripts, users of failed logons | process.command_line, file.path, … | A |
| `virustotal`, `vulnerability`, `sca` | event.verdict, file.hash.*, vulnerability.*, rule.benchmark.* | S |
| who did it, as AWS, Microsoft 365, GitHub and GCP recorded | user.name, user.id | I |

The host is the agent; where the manager only received a syslog line, it is the sender, and where it fetched records
of a service, there is none. No entity has a process id or a port.
"""

from __future__ import annotations

import re
from typing import Any

from aurora.ingest.formats import _wazuh_fields as fields
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._microsoft import user_name
from aurora.ingest.formats._tree import Reader, Tree, spots, unwrapped
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, ObservableType, Severity
from aurora.kernel.observables import observable

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_MANAGER = "000"
"""Number of the agent that is the manager itself."""
_COMPANIONS = frozenset({"agent", "decoder", "full_log", "location", "manager"})
_OLD_TIME = re.compile(r"(\d{4}) ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_LOGONS = frozenset({"4624", "4625", "4634", "4647", "4648", "4768", "4769", "4771", "4772", "4776"})
"""Windows events in which the target is who acts."""
_FAILED = frozenset({"4625", "4771", "4772", "4776"})
"""Windows events in which whoever tries may write any name."""
_NUMBERS = re.compile(r"\d+")
_SHORTEST_QUOTE = 3
"""Characters; shorter values stand in any text by chance."""
_MANY = 128
"""Parts of `data` that no table knows and a description is compared with; a description beside more is not believed."""


class Wazuh:
    """Reads `alerts.json` and `archives.json`, of Wazuh 2 to 4 and OSSEC."""

    id = "wazuh"
    title = "Wazuh (alerts.json)"

    def matches(self, document: Document) -> bool:
        """Tell by a rule with a level, or an archived event of a manager."""
        inner, _ = unwrapped(document)
        rule = inner.get("rule")
        if isinstance(rule, dict):
            return "level" in rule and ("id" in rule or "sidid" in rule) and not _COMPANIONS.isdisjoint(inner)
        return (
            isinstance(inner.get("manager"), dict)
            and isinstance(inner.get("agent"), dict)
            and ("full_log" in inner or "decoder" in inner)
        )

    def context(self, document: Document) -> str | None:
        """Return `archive` for an event that no rule matched, `ignored` for one of level 0."""
        rule = unwrapped(document)[0].get("rule")
        if not isinstance(rule, dict):
            return "archive"
        level = rule.get("level")
        return "ignored" if level == "0" or (type(level) is int and level == 0) else None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: there is no `rule` object, or it has neither id nor description.
        """
        inner, path = unwrapped(document)
        said = inner.get("rule")
        if not isinstance(said, dict):
            raise missing("rule", hint="an alert of Wazuh carries an object of that name")
        draft = Draft()
        reader = Reader(draft)
        for key in ("timestamp", "@timestamp"):
            draft.moment(_iso(inner.get(key)), f"{path}/{key}")
        title = draft.text(said.get("description"), f"{path}/rule/description").strip()
        number = draft.keep("rule.id", said.get("id", said.get("sidid")), _S, f"{path}/rule/id")
        if not title and not number:
            raise missing("rule.id", hint="the number of the rule that fired")
        severity = _rule(draft, said, f"{path}/rule")
        data = draft.table(inner, "data", f"{path}/data")
        reader.read(fields.BESIDE, inner, path)
        reader.read(fields.DATA, data, f"{path}/data")
        _host(reader, inner, data, path)
        _people(reader)
        _rest(reader, data, path)
        quotes = _quotes(title, draft, data)
        draft.keep("rule.name", title, _A if quotes else _S, f"{path}/rule/description")
        detail = _detail(reader)
        return draft.alert(
            id=id,
            title=title or f"Wazuh rule {number}",
            severity=severity,
            source="wazuh",
            format=self.id,
            product="Wazuh",
            rule="/".join(part for part in (number, detail) if part) or title,
        )


FORMAT = Wazuh()


def _iso(value: object) -> object:
    """Return the time of OSSEC (`2017 Jan 05 14:11:21`, without a zone) in ISO 8601, anything else as it is."""
    if not isinstance(value, str) or value[4:5] != " ":
        return value
    match = _OLD_TIME.fullmatch(value)
    if match is None or match[2] not in _MONTHS:
        return value
    return f"{match[1]}-{_MONTHS[match[2]]:02}-{int(match[3]):02}T{match[4]}"


def _rule(draft: Draft, said: Document, path: str) -> Severity:
    """Keep what the rule says of itself except its description; return its severity."""
    level = said.get("level")
    draft.keep("event.severity", level, _S, f"{path}/level")
    for group, where in spots(draft, said, "groups", f"{path}/groups"):
        draft.keep("rule.category", group, _S, where)
    mitre = said.get("mitre")
    if isinstance(mitre, dict):
        claimed = draft.items(mitre, "id", f"{path}/mitre/id")
        draft.techniques(claimed, _S, f"{path}/mitre/id")
        for tactic, where in () if claimed else spots(draft, mitre, "tactic", f"{path}/mitre/tactic"):
            draft.keep("threat.tactic.name", tactic, _S, where)
    elif mitre is not None:
        draft.techniques(draft.items(said, "mitre", f"{path}/mitre"), _S, f"{path}/mitre")
    step = int(level) if isinstance(level, str) and level.isdecimal() and len(level) <= 2 else level
    if type(step) is not int or not 0 <= step <= 16:
        draft.unread(f"{path}/level")
        return Severity.MEDIUM
    for highest, severity in ((3, Severity.INFO), (6, Severity.LOW), (11, Severity.MEDIUM), (14, Severity.HIGH)):
        if step <= highest:
            return severity
    return Severity.CRITICAL


def _host(reader: Reader, inner: Document, data: Document, path: str) -> None:
    """Note on which machine it happened."""
    draft = reader.draft
    agent = draft.table(inner, "agent", f"{path}/agent")
    name = draft.text(agent.get("name"), f"{path}/agent/name")
    if agent.get("id") == _MANAGER:
        if not fields.SERVICES.isdisjoint(data) or "office_365" in data:
            reader.keep("observer.name", name, _S, f"{path}/agent/name")
            return
        sender = observable(ObservableType.IP, reader.values.get("log.file.path", ""), _S)
        if sender is not None:
            reader.keep("observer.name", name, _S, f"{path}/agent/name")
            reader.keep("host.ip", sender.value, _S, f"{path}/location")
            device = reader.keep_held("host.name", "hostname", _A)
            draft.entity(EntityType.HOST, device.lower() or sender.value, _A if device else _S)
            return
    if name:
        reader.keep("host.name", name, _S, f"{path}/agent/name")
        draft.entity(EntityType.HOST, name.lower(), _S)
    else:
        draft.entity(EntityType.HOST, reader.keep_held("host.name", "hostname", _A).lower(), _A)
    if agent.get("ip") != "any":
        draft.take(agent, "ip", "host.ip", _S, f"{path}/agent/ip")


def _people(reader: Reader) -> None:
    """Note who acted and upon whom, as log lines and Windows events tell it."""
    draft = reader.draft
    code = reader.values.get("event.code", "")
    found = {
        part: user_name(
            upn="",
            name=reader.held_text(f"{part}.name"),
            suffix="",
            domain=reader.held_text(f"{part}.domain"),
        )
        for part in ("subject", "target")
        if f"{part}.name" in reader.held
    }
    if found:
        actor = "target" if code in _LOGONS and "target" in found else "subject" if "subject" in found else "target"
        provenance = _A if actor == "target" and code in _FAILED else _S
        reader.keep("user.name", found[actor], provenance, reader.held[f"{actor}.name"][1])
        reader.keep_held("user.id", f"{actor}.id", provenance)
        draft.entity(EntityType.USER, found[actor], provenance)
        if actor == "subject" and "target" in found:
            reader.keep("user.target.name", found["target"], _A, reader.held["target.name"][1])
            draft.entity(EntityType.USER, found["target"], _A, role="target")
    is_known = "srcuser" in reader.held
    actor = reader.keep_held("user.name", "srcuser" if is_known else "dstuser", _A)
    draft.entity(EntityType.USER, actor.lower(), _A, role="source" if is_known else "")
    if is_known:
        target = reader.keep_held("user.target.name", "dstuser", _A)
        draft.entity(EntityType.USER, target.lower(), _A, role="target")


def _rest(reader: Reader, data: Document, path: str) -> None:
    """Keep what needs more than one value, or means something else beside others."""
    draft, values = reader.draft, reader.values
    audit = data.get("audit")
    execve = audit.get("execve") if isinstance(audit, dict) else None
    if isinstance(execve, dict):
        words = [execve[key] for key in sorted(execve, key=_argument) if isinstance(execve[key], str)]
        reader.keep("process.command_line", " ".join(words[:256]), _A, f"{path}/data/audit/execve")
    is_request = "url.original" in values
    reader.keep_held("http.request.method" if is_request else "network.transport", "protocol", _A)
    if is_request:
        # Decoders of web servers write the status of the answer into `id`.
        reader.keep_held("http.response.status_code", "id", _S)
    requested = values.get("url.original", "")
    if "url.domain" in values and requested.startswith("/"):
        draft.observable(ObservableType.URL, f"http://{values['url.domain']}{requested}", _A)
    if reader.held_text("virustotal.malicious") == "1":
        reader.keep("event.verdict", "malicious", _S, reader.held["virustotal.malicious"][1])


def _argument(key: str) -> tuple[int, str]:
    """Return the place of `a10` behind `a9`."""
    return len(key), key


def _quotes(title: str, draft: Draft, data: Document) -> bool:
    """Tell whether a description repeats text that an adversary may have written, as `$(field)` in a rule does."""
    suspects = set()
    for field in draft.fields:
        if field.provenance is _A and field.value in title and len(field.value) >= _SHORTEST_QUOTE:
            suspects.add(str.__str__(field.value))
    if suspects and suspects - {str.__str__(field.value) for field in draft.fields if field.provenance is not _A}:
        return True  # `sshd` in a description is the decoder's name, not what a line said
    return _repeats_strangers(title, fields.DATA, data)


def _repeats_strangers(title: str, known: Tree, table: Document) -> bool:
    """Tell whether a description repeats text of a part of `data` that no table knows."""
    waiting: list[tuple[Tree, Any]] = [(known, table)]
    for node, value in waiting:
        if len(waiting) > _MANY:
            return True
        if isinstance(value, dict):
            for key, inner in value.items():
                target = node.get(key)
                if not isinstance(target, tuple):
                    waiting.append((target or {}, inner))
        elif isinstance(value, list):
            waiting += [(node, inner) for inner in value]
        elif isinstance(value, str) and len(value) >= _SHORTEST_QUOTE and value in title:
            return True
    return False


def _detail(reader: Reader) -> str:
    """Return the id of the detection that a rule of Wazuh passes on; empty where it stands for itself."""
    signature = reader.held_text("signature")
    if signature:
        return f"{reader.held_text('generator') or '1'}:{signature}"
    detail = reader.held_text("detail")
    if detail:
        return detail
    is_anomaly = reader.values.get("event.module") == "rootcheck"
    return _NUMBERS.sub("#", reader.values.get("event.reason", ""))[:120] if is_anomaly else ""
