"""An alert with its verdict as a Detection Finding of OCSF, the Open Cybersecurity Schema Framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from aurora.kernel.ports.knowledge import AttackKnowledge
from aurora.services.outcomes import Document, outcome_document, ranked, told
from aurora.storage.repositories.alerts import Outcome

VERSION: Final = "1.5.0"
"""Of the schema: the first whose pieces of evidence have names and verdicts."""
_TECHNIQUE_URL: Final = "https://attack.mitre.org/techniques/"

_SEVERITIES: Final = {
    "info": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_STATUSES: Final = {
    "investigating": (2, "In Progress"),
    "escalated": (2, "In Progress"),
    "false_positive": (3, "Suppressed"),
    "resolved": (4, "Resolved"),
}
_VERDICTS: Final = {
    "malicious": (2, "True Positive"),
    "suspicious": (4, "Suspicious"),
    "needs_review": (7, "Insufficient Data"),
    "benign": (5, "Benign"),
}
_ACTIVITIES: Final = {False: (1, "Create"), True: (3, "Close")}
_CLOSED: Final = frozenset({"resolved", "false_positive"})
_CONFIDENCES: Final = ((0.34, 1, "Low"), (0.67, 2, "Medium"), (1.01, 3, "High"))

_OBSERVABLES: Final = {
    "ip": (2, "IP Address"),
    "domain": (1, "Hostname"),
    "url": (6, "URL String"),
    "hash_md5": (8, "Hash"),
    "hash_sha1": (8, "Hash"),
    "hash_sha256": (8, "Hash"),
    "email": (5, "Email Address"),
    "cve": (18, ""),
    "file_path": (45, "File Path"),
    "user_agent": (16, "HTTP User-Agent"),
    "registry_key": (99, "Registry Key"),
    "mutex": (99, "Mutex"),
}
_ENTITIES: Final = {
    "host": (1, "Hostname"),
    "user": (4, "User Name"),
    "address": (2, "IP Address"),
    "mailbox": (5, "Email Address"),
    "file": (7, "File Name"),
    "process": (9, "Process Name"),
    "application": (10, "Resource UID"),
}
_HASHES: Final = {"hash_md5": (1, "MD5"), "hash_sha1": (2, "SHA-1"), "hash_sha256": (3, "SHA-256")}


def finding(
    outcome: Outcome, case: Mapping[str, Any] | None, *, version: str, attack: AttackKnowledge | None = None
) -> Document:
    """Return one alert as a Detection Finding with the profile `incident`; the order of the keys is fixed.

    What OCSF has no attribute for stands in `unmapped.aurora`: entities with their roles, claims, weights, provenance.

    Args:
        outcome: The alert and its verdict as it is now, if it has one.
        case: Columns of its case, if it belongs to one.
        version: Version of this Aurora.
        attack: Where names of techniques come from; without it they have only their ids.
    """
    alert, verdict = outcome.alert, outcome.verdict
    activity_id, activity = _ACTIVITIES[alert["status"] in _CLOSED]
    severity_id, severity = _SEVERITIES[alert["severity"]]
    status_id, status = _STATUSES.get(alert["status"], (1, "New"))
    alert_id = str(outcome.record_id)
    document: Document = {
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": 200400 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": _ms(alert["event_time"] or alert["first_seen"] or alert["created_at"]),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_code": alert["status"],
        "is_alert": True,
        "count": alert["count"],
        "metadata": {
            "version": VERSION,
            "uid": alert_id,
            "product": {"name": "Aurora", "vendor_name": "Aurora", "version": version},
            "profiles": ["incident"],
            "logged_time": _ms(alert["created_at"]),
        },
        "finding_info": _info(outcome, alert_id, attack),
        "observables": _observables(alert),
        "evidences": [*_artifacts(alert), *(_evidence(each) for each in (verdict or {}).get("evidence", ()))],
        "resources": _resources(alert),
    }
    for key, moment in (("start_time", alert["first_seen"]), ("end_time", alert["last_seen"])):
        if moment is not None:
            document[key] = _ms(moment)
    if verdict is not None:
        document |= _verdict(verdict)
    if case is not None:
        document["metadata"]["correlation_uid"] = str(case["id"])
        document["ticket"] = {"uid": str(case["id"]), "title": case["title"], "type_id": 1, "type": "Internal"}
    document["unmapped"] = {"aurora": _unmapped(outcome)}
    return {key: value for key, value in document.items() if value not in ([], "", None)}


def _info(outcome: Outcome, alert_id: str, attack: AttackKnowledge | None) -> Document:
    alert = outcome.alert
    claimed = (outcome.verdict or {}).get("techniques") or alert["mitre_techniques"]
    info: Document = {"uid": alert_id, "title": alert["title"], "desc": alert["description"]}
    if alert["rule"]:
        info["analytic"] = {"uid": alert["rule"], "type_id": 1, "type": "Rule"}
    info["attacks"] = [_attack(each, attack) for each in claimed]
    info["created_time"] = _ms(alert["created_at"])
    for key, moment in (("first_seen_time", alert["first_seen"]), ("last_seen_time", alert["last_seen"])):
        info[key] = None if moment is None else _ms(moment)
    info["data_sources"] = [alert["source"]]
    info["product"] = {"name": alert["product"]} if alert["product"] else None
    return {key: value for key, value in info.items() if value not in ([], "", None)}


def _attack(technique_id: str, attack: AttackKnowledge | None) -> Document:
    parent, _, child = technique_id.partition(".")
    told_: Document = {"technique": _technique(parent, attack)}
    if child:
        told_["sub_technique"] = _technique(technique_id, attack)
    if attack is not None:
        told_["tactics"] = [{"uid": each.id, "name": each.name} for each in attack.tactics_of(technique_id)]
        told_["version"] = attack.version
    return {key: value for key, value in told_.items() if value}


def _technique(technique_id: str, attack: AttackKnowledge | None) -> Document:
    known = attack.technique(technique_id) if attack is not None else None
    named = {"name": known.name} if known is not None else {}
    return {"uid": technique_id, **named, "src_url": _TECHNIQUE_URL + technique_id.replace(".", "/")}


def _verdict(verdict: Mapping[str, Any]) -> Document:
    verdict_id, word = _VERDICTS[verdict["label"]]
    confidence = verdict["confidence"]
    confidence_id, step = next((number, word) for limit, number, word in _CONFIDENCES if confidence < limit)
    return {
        "message": verdict["reason"],
        "comment": verdict["reason"] if verdict["decided_by"] == "analyst" else None,
        "verdict_id": verdict_id,
        "verdict": word,
        "confidence_score": round(confidence * 100),
        "confidence_id": confidence_id,
        "confidence": step,
    }


def _observables(alert: Mapping[str, Any]) -> list[Document]:
    """Return observables and entities, each value of a type once."""
    found: dict[tuple[int, str], Document] = {}
    for kinds, values in ((_OBSERVABLES, alert["iocs"]), (_ENTITIES, alert["entities"])):
        for each in values:
            number, word = kinds[each["type"]]
            if each["type"] == "file" and ("/" in each["value"] or "\\" in each["value"]):
                number, word = _OBSERVABLES["file_path"]
            named = {"type": word} if word else {}  # the schema and its tools disagree on what to call a CVE
            found.setdefault((number, each["value"]), {"type_id": number, **named, "value": each["value"]})
    return list(found.values())


def _artifacts(alert: Mapping[str, Any]) -> list[Document]:
    """Return what took part as pieces of evidence: the ends of the connection, users, mailboxes, files, URLs."""
    ends = {"source": "src_endpoint", "destination": "dst_endpoint", "target": "dst_endpoint"}
    ports = {"source": _first(alert, "source.port"), "destination": _first(alert, "destination.port")}
    connection: Document = {}
    rest: list[Document] = []
    for each in alert["entities"]:
        kind, value, role = each["type"], each["value"], each.get("role", "")
        end = ends.get(role) if kind == "address" else None
        if end is not None and end not in connection:
            port = ports["source" if end == "src_endpoint" else "destination"]
            connection[end] = {"ip": value} | ({"port": port} if port is not None else {})
        elif kind == "user":
            rest.append({"user": {"name": value}})
        elif kind == "mailbox" and role == "recipient":
            rest.append({"email": {"to": [value]}})
        elif kind == "file":
            rest.append({"file": _file(value)})
    rest += [{"url": {"url_string": each["value"]}} for each in alert["iocs"] if each["type"] == "url"]
    hashes = [
        {"algorithm_id": _HASHES[each["type"]][0], "algorithm": _HASHES[each["type"]][1], "value": each["value"]}
        for each in alert["iocs"]
        if each["type"] in _HASHES
    ]
    files = [each["file"] for each in rest if "file" in each]
    if len(files) == 1 and hashes:  # of several files nobody could tell whose they are
        files[0]["hashes"] = hashes
    return ([connection] if connection else []) + rest


def _file(value: str) -> Document:
    name = value.replace("\\", "/").rstrip("/").rpartition("/")[2] or value
    return {"name": name, "type_id": 0, "type": "Unknown"} | ({"path": value} if name != value else {})


def _first(alert: Mapping[str, Any], name: str) -> int | None:
    """Return the first field of that name as a port."""
    for each in alert["fields"]:
        if each["name"] == name and each["value"].isascii() and each["value"].isdigit() and len(each["value"]) <= 5:
            port = int(each["value"])
            return port if 0 <= port < 65536 else None
    return None


def _evidence(each: Mapping[str, Any]) -> Document:
    """Return a piece of the verdict's evidence; the claims in `unmapped.aurora` cite it by its `uid`."""
    return {
        "uid": each["id"],
        "name": each["kind"],
        "data": {key: each[key] for key in ("provenance", "text", "source", "attributes") if each.get(key)},
    }


def _resources(alert: Mapping[str, Any]) -> list[Document]:
    kinds = {"host": "Host", "application": "Application"}
    return [
        {"name": each["value"], "type": kinds[each["type"]]}
        | ({"hostname": each["value"]} if each["type"] == "host" else {})
        for each in alert["entities"]
        if each["type"] in kinds
    ]


def _unmapped(outcome: Outcome) -> Document:
    alert, verdict = outcome.alert, outcome.verdict
    document = outcome_document(outcome)
    unmapped: Document = {
        "source": alert["source"],
        "format": alert["format"],
        "status": alert["status"],
        "claimed_techniques": list(alert["mitre_techniques"]),
        "entities": [dict(each) for each in alert["entities"]],
        "observables": [dict(each) for each in alert["iocs"]],
        "file": document["file"],
        "line": document["line"],
        "run_id": document["run_id"],
        "case_id": document["case_id"],
    }
    if verdict is None:
        return {**unmapped, "fields": _fields(alert["fields"])}
    return {
        **unmapped,
        "verdict": {
            "label": verdict["label"],
            "confidence": document["confidence"],
            "score": verdict["score"],
            "decided_by": verdict["decided_by"],
            "decided_name": verdict["decided_name"],
            "degraded": document["degraded"],
            "created_at": told(verdict["created_at"]),
            "claims": [
                {
                    "text": each["claim"]["text"],
                    "evidence": list(each["claim"]["evidence"]),
                    "rule": each["rule"],
                    "weight": each["weight"],
                    "closes": each["closes"],
                }
                for each in ranked(verdict["contributions"])
            ],
            "dropped": [dict(each) for each in verdict["dropped"]],
        },
    }


def _fields(fields: Iterable[Mapping[str, Any]]) -> list[Document]:
    return [{"id": f"f{number}", **each} for number, each in enumerate(fields, start=1)]


def _ms(moment: datetime) -> int:
    """Return a moment as OCSF has it: milliseconds since 1970."""
    return round(moment.timestamp() * 1000)
