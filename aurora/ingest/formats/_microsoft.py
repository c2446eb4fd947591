"""What the two spellings of Microsoft alerts share."""

from __future__ import annotations

import re

from aurora.ingest.formats._draft import Draft
from aurora.kernel.errors import RecordRejected
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType, Severity

SENSOR = Provenance.SENSOR
DIRECTORY = Provenance.IDENTITY_SERVER
WRITABLE = Provenance.ATTACKER_WRITABLE
ANALYST = Provenance.HUMAN

SOURCE = "microsoft"
HASHES = {"SHA256": ObservableType.HASH_SHA256, "SHA1": ObservableType.HASH_SHA1, "MD5": ObservableType.HASH_MD5}

_SEVERITIES = {
    "informational": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "unknown": Severity.MEDIUM,
    "unknownfuturevalue": Severity.MEDIUM,
    "": Severity.MEDIUM,
}
_WELL_KNOWN = {
    "S-1-5-18": "nt authority\\system",
    "S-1-5-19": "nt authority\\local service",
    "S-1-5-20": "nt authority\\network service",
}
_NO_VERDICT = frozenset({"", "unknown", "none", "unknownfuturevalue"})
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:|\\")


def severity_of(text: str, *, field: str) -> Severity:
    """Return the severity; none or `Unknown` is medium.

    Raises:
        RecordRejected: it is a word that Microsoft does not use.
    """
    severity = _SEVERITIES.get(text.strip().lower())
    if severity is None:
        raise RecordRejected(
            f"{field} must be one of Informational, Low, Medium, High", reason="invalid_value", field=field
        )
    return severity


def rule_id(detector: str, alert_type: str, provider: str, name: str) -> str:
    """Return what stays the same in all alerts of one detection.

    That is the detector's id; else the type of the alert where it has the form of an id (Sentinel:
    `<workspace>_<rule>`; Identity Protection: `AnonymousLogin`); where the type only names a product
    (`WindowsDefenderAtp`), product and name together.
    """
    if detector:
        return detector
    if alert_type and not alert_type.startswith(("WindowsDefender", "MTP", "Microsoft")):
        return f"{provider}/{alert_type}" if provider else alert_type
    return "/".join(part for part in (alert_type or provider, name) if part)


def tactic(word: str) -> str:
    """Return `CommandAndControl` as ATT&CK writes it: `Command and Control`."""
    return _HUMP.sub(" ", word.strip()).replace(" And ", " and ")


def tell_tactics(draft: Draft, words: list[str], path: str) -> None:
    """Keep the tactics that are more than `Unknown`."""
    for word in words:
        if word.strip().lower() not in _NO_VERDICT:
            draft.keep("threat.tactic.name", tactic(word), SENSOR, path)


def tell_verdict(draft: Draft, value: object, path: str) -> None:
    """Keep the product's verdict on one piece of evidence, unless it has none."""
    text = draft.text(value, path)
    if text.lower() not in _NO_VERDICT:
        draft.keep("event.verdict", text, SENSOR, path)


def user_name(*, upn: str, name: str, domain: str, suffix: str) -> str:
    r"""Return the canonical name of an account: UPN, else `name@dns.domain`, `domain\name`, name."""
    if upn:
        return upn.lower()
    if name and "@" not in name and "\\" not in name:
        where = suffix or domain
        if "." in where:
            return f"{name}@{where}".lower()
        return f"{where}\\{name}".lower() if where else name.lower()
    return name.lower()


def tell_user(draft: Draft, name: str, number: str, *, role: str, named: str, numbered: str) -> None:
    """Note an account by its name, else by its SID or Entra id; a directory vouches for one that has either."""
    provenance = DIRECTORY if number else WRITABLE
    draft.keep("user.name", name, provenance, named)
    draft.keep("user.id", number, DIRECTORY, numbered)
    draft.entity(EntityType.USER, name or _WELL_KNOWN.get(number, number.lower()), provenance, role=role)


def host_name(fqdn: str, host: str, domain: str) -> str:
    """Return the canonical name of a device: its full name where it is known."""
    full = fqdn or (f"{host}.{domain}" if host and "." in domain and "." not in host else host)
    return full.strip().rstrip(".").lower()


def full_path(directory: str, name: str) -> str:
    """Join directory and name; some products write the whole path into both."""
    if not directory or not name:
        return directory or name
    bare = directory.rstrip("\\/")
    if bare.lower().endswith(("\\" + name.lower(), "/" + name.lower())):
        return bare
    return f"{bare}{'/' if '/' in directory and chr(92) not in directory else chr(92)}{name}"


def same_path(path: str) -> str:
    """Return the form in which equal paths are equal text: Windows does not tell case."""
    return path.lower() if _WINDOWS_PATH.match(path) else path


def tell_file(draft: Draft, path: str, *, pointer: str, role: str = "") -> None:
    """Note a file: field, entity and observable."""
    shown = draft.keep("file.path" if "\\" in path or "/" in path else "file.name", path, WRITABLE, pointer)
    draft.entity(EntityType.FILE, same_path(shown), WRITABLE, role=role)
    if "\\" in shown or "/" in shown:
        draft.observable(ObservableType.FILE_PATH, same_path(shown), WRITABLE)


def tell_hash(draft: Draft, algorithm: str, digest: object, *, pointer: str) -> None:
    """Note one hash of a file; algorithms without a type of observable are left out."""
    name = algorithm.upper().replace("-", "")
    kind = HASHES.get(name)
    if kind is not None:
        draft.observable(kind, draft.keep(f"file.hash.{name.lower()}", digest, SENSOR, pointer), SENSOR)


def tell_mail(draft: Draft, address: str, *, role: str) -> None:
    """Note whose mailbox took part."""
    if "@" in address:
        draft.entity(EntityType.MAILBOX, address.strip().lower(), SENSOR, role=role)


def role_of(draft: Draft, roles: list[object], path: str) -> str:
    """Return the first role that the product gives a piece of evidence, in lower case."""
    for role in roles:
        return draft.text(role, path).lower()[:32]
    return ""


def tell_address(draft: Draft, value: object, provenance: Provenance, *, role: str, pointer: str) -> None:
    """Note an address under the name that fits its role."""
    name = {
        "source": "source.ip",
        "attacker": "source.ip",
        "destination": "destination.ip",
        "target": "destination.ip",
    }.get(role, "related.ip")
    draft.address(draft.keep(name, value, provenance, pointer), provenance, role=role)
