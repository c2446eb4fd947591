"""What the spellings of CrowdStrike share: the same value under the names of the APIs and of the streams.

Who wrote what is told in `aurora.ingest.formats.crowdstrike`.
"""

from __future__ import annotations

from aurora.ingest.formats import _microsoft as microsoft
from aurora.ingest.formats._draft import CACHED, MAX_ITEMS, Draft, cached_field
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType

S = Provenance.SENSOR
A = Provenance.ATTACKER_WRITABLE
DIRECTORY = Provenance.IDENTITY_SERVER

Keys = tuple[str, ...]
Rows = tuple[tuple[Keys, str, Provenance], ...]
"""Names of one value, that of the field, who wrote it."""

_UNTOLD = frozenset({"", "-", "n/a", "none", "unknown"})

_LONGEST_UNTOLD = 16
"""Longer text says something; shorter text may have blanks around what says nothing."""

_RULE: Rows = (
    (("tactic_id", "TacticID", "TacticId"), "threat.tactic.id", S),
    (("tactic", "Tactic"), "threat.tactic.name", S),
    (("technique", "Technique"), "threat.technique.name", S),
    (("objective", "Objective"), "rule.category", S),
    (("scenario",), "rule.ruleset", S),
)
_PROCESS: Rows = (
    (("cmdline", "CommandLine"), "process.command_line", A),
    (("local_process_id", "ProcessId"), "process.pid", S),
    (("parent_cmdline", "ParentCommandLine"), "process.parent.command_line", A),
    (("ParentImageFilePath", "ParentImageFileName"), "process.parent.executable", S),
    (("GrandparentCommandLine", "GrandParentCommandLine"), "process.grandparent.command_line", A),
    (("GrandparentImageFileName", "GrandParentImageFileName"), "process.grandparent.executable", S),
)
_DIGESTS = (
    (("sha256", "SHA256String"), "sha256"),
    (("sha1", "SHA1String"), "sha1"),
    (("md5", "MD5String"), "md5"),
)
_DEVICE: Rows = (
    (("device_id", "SensorId", "AgentId", "AgentIdString", "agent_id"), "host.id", S),
    (("local_ip", "LocalIP", "LocalIPv4"), "host.ip", S),
    (("external_ip", "ExternalIP"), "host.ip", S),
    (("mac_address", "MACAddress"), "host.mac", S),
    (("platform_name", "PlatformName"), "host.os.family", S),
    (("os_version",), "host.os.version", S),
    (("product_type_desc",), "host.type", S),
    (("agent_version",), "observer.version", S),
)
_IDENTITY: Rows = (
    (("source_account_object_sid", "SourceAccountObjectSid"), "user.id", DIRECTORY),
    (("location_country_code", "LocationCountryCode"), "source.geo.country_iso_code", S),
    (("sso_application_identifier", "SsoApplicationIdentifier"), "cloud.service.name", S),
    (("target_service_access_identifier", "TargetServiceAccessIdentifier"), "service.name", A),
)
_OF_IDENTITY = frozenset(
    {
        "location_country_code",
        "source_account_name",
        "source_account_object_sid",
        "source_account_upn",
        "source_endpoint_address_ip4",
        "source_endpoint_address_ip6",
        "source_endpoint_host_name",
        "source_endpoint_ip_address",
        "sso_application_identifier",
        "target_account_name",
        "target_account_upn",
        "target_endpoint_host_name",
        "LocationCountryCode",
        "SourceAccountName",
        "SourceAccountObjectSid",
        "SourceAccountUpn",
        "SourceEndpointAddressIP4",
        "SourceEndpointAddressIP6",
        "SourceEndpointHostName",
        "SourceEndpointIpAddress",
        "TargetAccountName",
        "TargetAccountUpn",
        "TargetEndpointHostName",
    }
)
"""Any of these says that identity protection speaks."""
_INDICATORS = {
    "hash_sha256": ObservableType.HASH_SHA256,
    "sha256": ObservableType.HASH_SHA256,
    "hash_md5": ObservableType.HASH_MD5,
    "md5": ObservableType.HASH_MD5,
    "hash_sha1": ObservableType.HASH_SHA1,
    "domain": ObservableType.DOMAIN,
    "domain_name": ObservableType.DOMAIN,
    "ipv4": ObservableType.IP,
    "ipv6": ObservableType.IP,
    "ip_address": ObservableType.IP,
    "url": ObservableType.URL,
}
_DIRECTIONS = {"0": "destination", "outbound": "destination", "1": "source", "inbound": "source"}
_FILES = (
    "DocumentsAccessed",
    "ExecutablesWritten",
    "FilesAccessed",
    "FilesWritten",
    "documents_accessed",
    "executables_written",
    "files_accessed",
    "files_written",
)


class Part:
    """One object of a record: a detection, a behaviour, a device."""

    __slots__ = ("_told", "draft", "path", "values")

    def __init__(self, draft: Draft, values: Document, path: str) -> None:
        self.draft = draft
        self.values = values
        self.path = path
        self._told = {
            key: value
            for key, value in values.items()
            if (
                len(value) > _LONGEST_UNTOLD or value.strip().lower() not in _UNTOLD
                if value.__class__ is str
                else value is not None
            )
        }
        """What says something: asked for a hundred times a record, so found out once."""

    def key(self, keys: Keys) -> str:
        """Return the first of the names whose value says something, empty if none does."""
        told = self._told
        for key in keys:
            if key in told:
                return key
        return ""

    def text(self, *keys: str) -> str:
        """Return the first scalar among those names that says something."""
        told = self._told
        for key in keys:
            if key in told:
                return self.draft.text(told[key], f"{self.path}/{key}").strip()
        return ""

    def take(self, keys: Keys, name: str, provenance: Provenance) -> str:
        """Keep that scalar as the field `name`; return its text."""
        told = self._told
        for key in keys:
            if key in told:
                value, fields = told[key], self.draft.fields
                if value.__class__ is str and 0 < len(value) <= CACHED and len(fields) < MAX_ITEMS:
                    # What `keep` does with short text, without the call: most values of most records.
                    fields.append(cached_field(name, value, provenance, f"{self.path}/{key}"))
                    text: str = value
                    return text
                return self.draft.keep(name, value, provenance, f"{self.path}/{key}")
        return ""

    def take_all(self, rows: Rows) -> None:
        """Keep every scalar that `rows` name."""
        told, path, draft, fields = self._told, self.path, self.draft, self.draft.fields
        for keys, name, provenance in rows:
            for key in keys:
                if key in told:
                    value = told[key]
                    if value.__class__ is str and 0 < len(value) <= CACHED and len(fields) < MAX_ITEMS:
                        fields.append(cached_field(name, value, provenance, f"{path}/{key}"))  # as in `take`
                    else:
                        draft.keep(name, value, provenance, f"{path}/{key}")
                    break

    def part(self, key: str) -> Part:
        """Return the object of that name, an empty one if there is none."""
        path = f"{self.path}/{key}"
        return Part(self.draft, self.draft.table(self.values, key, path), path)

    def parts(self, *keys: str) -> list[Part]:
        """Return the objects of every list of those names."""
        found = []
        for key in keys:
            if key not in self.values:
                continue
            path = f"{self.path}/{key}"
            for number, item in enumerate(self.draft.items(self.values, key, path)):
                if isinstance(item, dict):
                    found.append(Part(self.draft, item, f"{path}/{number}"))
                else:
                    self.draft.unread(f"{path}/{number}")
        return found


def tell_detection(part: Part) -> None:
    """Note tactic, technique, process, user, indicators and traffic of a detection or a behaviour."""
    draft = part.draft
    part.take_all(_RULE)
    technique = part.key(("technique_id", "TechniqueID", "TechniqueId"))
    if technique:
        draft.techniques([part.values[technique]], S, f"{part.path}/{technique}")
    for claim in part.parts("mitre_attack", "MitreAttack"):
        key = claim.key(("technique_id", "TechniqueID"))
        if key:
            draft.techniques([claim.values[key]], S, f"{claim.path}/{key}")
        claim.take(("tactic", "Tactic"), "threat.tactic.name", S)
    disposition = part.take(
        ("pattern_disposition_description", "PatternDispositionDescription"), "crowdstrike.disposition", S
    )
    if disposition:
        blocked = disposition.lower().startswith("prevention")
        path = f"{part.path}/{part.key(('pattern_disposition_description', 'PatternDispositionDescription'))}"
        draft.keep("event.action", "blocked" if blocked else "allowed", S, path)
    _process(part)
    _user(part)
    _indicator(part)
    for each in part.parts("ioc_context", "AssociatedIOCs"):
        _indicator(each)
    _identity(part)
    _traffic(part)
    for each in part.parts(*_FILES):
        path = microsoft.full_path(each.text("filepath", "FilePath"), each.text("filename", "FileName"))
        if path:
            microsoft.tell_file(
                draft, path, pointer=f"{each.path}/{each.key(('filepath', 'FilePath', 'filename', 'FileName'))}"
            )


def tell_device(device: Part) -> None:
    """Note the machine."""
    keys = ("hostname", "ComputerName", "Hostname", "HostName")
    name = device.take(keys, "host.name", S)
    domain = device.text("machine_domain", "MachineDomain")
    device.draft.entity(EntityType.HOST, microsoft.host_name("", name, domain), S)
    device.take_all(_DEVICE)


def _process(part: Part) -> None:
    draft = part.draft
    keys = ("filepath", "FilePath", "filename", "FileName")
    executable = microsoft.full_path(part.text("filepath", "FilePath"), part.text("filename", "FileName"))
    draft.keep("process.executable", executable, S, f"{part.path}/{part.key(keys)}")
    draft.entity(EntityType.PROCESS, microsoft.same_path(executable), S)
    part.take_all(_PROCESS)
    _digests(part)
    parent = part.part("parent_details") if "parent_details" in part.values else None
    if parent is not None:
        parent.take(("filepath", "filename"), "process.parent.executable", S)
        parent.take(("cmdline", "parent_cmdline"), "process.parent.command_line", A)
        parent.take(("sha256", "parent_sha256"), "process.parent.hash.sha256", S)


def _digests(part: Part) -> None:
    for keys, algorithm in _DIGESTS:
        key = part.key(keys)
        if key:
            microsoft.tell_hash(part.draft, algorithm, part.values[key], pointer=f"{part.path}/{key}")


def _user(part: Part) -> None:
    name = part.take(("user_principal", "UserPrincipal", "user_name", "UserName"), "user.name", S)
    part.take(("user_id", "UserId"), "user.id", S)
    domain = part.take(("logon_domain", "LogonDomain"), "user.domain", S)
    if name:
        user = microsoft.user_name(upn=name if "@" in name else "", name=name, domain=domain, suffix="")
        part.draft.entity(EntityType.USER, user, S)


def _indicator(part: Part) -> None:
    key = part.key(("ioc_value", "IOCValue"))
    kind = _INDICATORS.get(part.text("ioc_type", "IOCType", "type").lower())
    if key:
        provenance = S if kind in microsoft.HASHES.values() else A
        value = part.draft.keep("threat.indicator.name", part.values[key], provenance, f"{part.path}/{key}")
        if kind is not None:
            part.draft.observable(kind, value, provenance)


def _identity(part: Part) -> None:
    """Note accounts and machines as identity protection names them: it asks the directory."""
    draft = part.draft
    if _OF_IDENTITY.isdisjoint(part.values):
        return
    for side, role in (("source", "source"), ("target", "target")):
        pascal = side.capitalize()
        name = part.take(
            (f"{side}_account_upn", f"{side}_account_name", f"{pascal}AccountUpn", f"{pascal}AccountName"),
            "user.name" if role == "source" else "user.target.name",
            DIRECTORY,
        )
        domain = part.text(f"{side}_account_domain", f"{pascal}AccountDomain")
        user = microsoft.user_name(upn=name if "@" in name else "", name=name, domain=domain, suffix="")
        draft.entity(EntityType.USER, user, DIRECTORY, role=role)
        host = part.take(
            (f"{side}_endpoint_host_name", f"{pascal}EndpointHostName"),
            "source.domain" if role == "source" else "destination.domain",
            S,
        )
        draft.entity(EntityType.HOST, microsoft.host_name(host, "", ""), S, role=role)
    for keys in (
        (
            "source_endpoint_address_ip4",
            "source_endpoint_ip_address",
            "SourceEndpointIpAddress",
            "SourceEndpointAddressIP4",
        ),
        ("source_endpoint_address_ip6", "SourceEndpointAddressIP6"),
    ):
        draft.address(part.take(keys, "source.ip", S), S, role="source")
    part.take_all(_IDENTITY)


def _traffic(part: Part) -> None:
    draft = part.draft
    for access in part.parts("network_accesses", "NetworkAccesses"):
        direction = access.text("connection_direction", "ConnectionDirection").lower()
        role = _DIRECTIONS.get(direction, "")
        name = role or "related"
        draft.address(access.take(("remote_address", "RemoteAddress"), f"{name}.ip", S), S, role=role)
        if role:
            access.take(("remote_port", "RemotePort"), f"{role}.port", S)
        protocol = access.text("protocol", "Protocol").lower()
        draft.keep("network.transport", protocol, S, f"{access.path}/{access.key(('protocol', 'Protocol'))}")
    for request in part.parts("dns_requests", "DnsRequests"):
        draft.peer(request.take(("domain_name", "DomainName"), "dns.question.name", A), A)
