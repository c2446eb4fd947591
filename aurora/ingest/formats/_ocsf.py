"""The words of OCSF: classes of events, severities, types of observables, and what a finding's states mean."""

from __future__ import annotations

from typing import Final

from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType, Severity

DETECTION_FINDING: Final = 2004
SECURITY_FINDING: Final = 2001
"""What came before it: version 1.0, deprecated since 1.1 and still written by Security Lake."""
FINDINGS: Final = frozenset({DETECTION_FINDING, SECURITY_FINDING})

_CATEGORIES: Final = {
    1: "system",
    2: "finding",
    3: "identity",
    4: "network",
    5: "discovery",
    6: "application",
    7: "remediation",
    8: "unmanned_system",
}
_CLASSES: Final = {
    1001: "file",
    1002: "kernel_extension",
    1003: "kernel",
    1004: "memory",
    1005: "module",
    1006: "scheduled_job",
    1007: "process",
    1008: "event_log",
    1009: "script",
    2002: "vulnerability_finding",
    2003: "compliance_finding",
    2005: "incident_finding",
    2006: "data_security_finding",
    3001: "account_change",
    3002: "authentication",
    3005: "user_access",
    3006: "group_management",
    4001: "network",
    4002: "http",
    4003: "dns",
    4004: "dhcp",
    4005: "rdp",
    4006: "smb",
    4007: "ssh",
    4008: "ftp",
    4009: "email",
    6003: "api",
    6005: "datastore",
    6007: "scan",
}

SEVERITIES: Final = {
    1: Severity.INFO,
    2: Severity.LOW,
    3: Severity.MEDIUM,
    4: Severity.HIGH,
    5: Severity.CRITICAL,
    6: Severity.CRITICAL,
}
"""By `severity_id`; 0 is unknown, 99 another word."""
SEVERITY_WORDS: Final = {
    "informational": Severity.INFO,
    "info": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
}

DISPOSITIONS: Final = {
    1: "allowed",
    2: "blocked",
    3: "quarantined",
    4: "isolated",
    5: "deleted",
    6: "dropped",
    8: "approved",
    9: "restored",
    10: "exonerated",
    11: "corrected",
    12: "partially corrected",
    13: "uncorrected",
    15: "detected",
    16: "no action",
    17: "logged",
    19: "alert",
    21: "reset",
    25: "rejected",
}
"""What a security control did, by `disposition_id`."""

ACTIONS: Final = {1: "allowed", 2: "denied"}
"""What a security control was told to do, by `action_id`."""

VERDICTS: Final = {
    1: "false positive",
    2: "true positive",
    3: "disregard",
    4: "suspicious",
    5: "benign",
    6: "test",
    7: "insufficient data",
    8: "security risk",
    9: "managed externally",
    10: "duplicate",
}
"""By `verdict_id`."""

STATUSES: Final = {1: "new", 2: "in progress", 3: "suppressed", 4: "resolved", 5: "archived", 6: "deleted"}
"""State of a finding, by `status_id` (`state_id` in version 1.0)."""

ALGORITHMS: Final = {
    1: ("md5", ObservableType.HASH_MD5),
    2: ("sha1", ObservableType.HASH_SHA1),
    3: ("sha256", ObservableType.HASH_SHA256),
}
"""Hashes that are observables, by `algorithm_id`."""
HASH_LENGTHS: Final = {32: ALGORITHMS[1], 40: ALGORITHMS[2], 64: ALGORITHMS[3]}

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE
OBSERVABLES: Final = {
    1: ("host.name", ObservableType.DOMAIN, _S),
    2: ("related.ip", ObservableType.IP, _S),
    5: ("related.email", ObservableType.EMAIL, _A),
    6: ("url.full", ObservableType.URL, _A),
    8: ("related.hash", None, _S),
    16: ("user_agent.original", ObservableType.USER_AGENT, _A),
    18: ("vulnerability.id", ObservableType.CVE, _S),
    23: ("url.full", ObservableType.URL, _A),
    28: ("registry.path", ObservableType.REGISTRY_KEY, _A),
    30: ("related.hash", None, _S),
    45: ("file.path", ObservableType.FILE_PATH, _A),
    46: ("registry.path", ObservableType.REGISTRY_KEY, _A),
}
"""Name of the field, type, and who wrote it, by `type_id`; a hash goes by its length."""
NAMED: Final = {
    3: ("related.mac", _S, None),
    4: ("user.name", _A, EntityType.USER),
    7: ("file.name", _A, EntityType.FILE),
    9: ("process.name", _A, EntityType.PROCESS),
    10: ("resource.id", _S, None),
    13: ("process.command_line", _A, None),
    21: ("user.name", _A, EntityType.USER),
}
"""Observables that Aurora keeps as fields and entities only."""


def number(value: object) -> int | None:
    """Return a whole number, also where an export wrote it as text; `None` if it is none."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e18:
        return int(value)
    if isinstance(value, str) and len(value) <= 18 and value.isascii() and value.isdigit():
        return int(value)
    return None


def kind_of(document: Document) -> str:
    """Return what sort of event a record is, one of a few words whatever it holds."""
    uid = number(document.get("class_uid")) or 0
    return _CLASSES.get(uid) or _CATEGORIES.get(uid // 1000, "other")


def named(document: Document, key: str, names: dict[int, str]) -> str:
    """Return the word for `<key>_id`, else what the record has as `<key>`, in lower case; empty without either."""
    word = names.get(number(document.get(f"{key}_id")) or 0)
    if word is None:
        said = document.get(key)
        word = said.strip().lower()[:100] if isinstance(said, str) else ""
    return "" if word in {"unknown", "other"} else word
