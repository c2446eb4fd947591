"""What happened, as a finding tells it: calls, connections, processes, malware, sequences.

Who wrote what is told in `aurora.ingest.formats.guardduty`.
"""

from __future__ import annotations

import re

from aurora.ingest.formats import _microsoft as microsoft
from aurora.ingest.formats._guardduty_resources import account_user, tell_sequence_resource
from aurora.ingest.formats._guardduty_table import DIRECTORY, A, Columns, S, Table
from aurora.kernel.models import EntityType, ObservableType

_TECHNIQUE = re.compile(r"T[01]\d{3}(?:\.\d{3})?")
_SIDES = {"INBOUND": "source", "OUTBOUND": "destination"}
_REMOTE: Columns = (
    ("CountryName", "geo.country_name", S),
    ("CountryCode", "geo.country_iso_code", S),
)
_API: Columns = (
    ("Api", "event.action", S),
    ("ServiceName", "cloud.service.name", S),
    ("CallerType", "aws.caller_type", S),
    ("ErrorCode", "event.error_code", S),
    ("UserAgent", "user_agent.original", A),
)
_KUBERNETES: Columns = (
    ("Verb", "event.action", S),
    ("RequestUri", "url.path", A),
    ("UserAgent", "user_agent.original", A),
    ("StatusCode", "http.response.status_code", S),
    ("Namespace", "orchestrator.namespace", A),
    ("Resource", "orchestrator.resource.type", S),
    ("Subresource", "orchestrator.resource.subtype", S),
    ("ResourceName", "orchestrator.resource.name", A),
    ("Parameters", "kubernetes.parameters", A),
)
_PROCESS: Columns = (
    ("Name", "process.name", A),
    ("Pid", "process.pid", S),
    ("Pwd", "process.working_directory", A),
    ("User", "process.user.name", S),
    ("UserId", "process.user.id", S),
    ("StartTime", "process.start", S),
)
_CONTEXT: Columns = (
    ("CommandLineExample", "process.command_line", A),
    ("ScriptPath", "file.path", A),
    ("LibraryPath", "file.path", A),
    ("ThreatFilePath", "file.path", A),
    ("RuncBinaryPath", "file.path", A),
    ("ReleaseAgentPath", "file.path", A),
    ("ShellHistoryFilePath", "file.path", A),
    ("SocketPath", "file.path", A),
    ("ModuleFilePath", "file.path", A),
    ("ModuleName", "driver.name", A),
    ("LdPreloadValue", "process.env.ld_preload", A),
    ("MountSource", "mount.source", A),
    ("MountTarget", "mount.target", A),
    ("ToolName", "threat.software.name", S),
    ("ToolCategory", "threat.software.type", S),
    ("ServiceName", "service.name", A),
)


def tell_action(action: Table) -> None:
    """Note the call, connection, request or attempt that set off the finding."""
    for key in action.given(_ACTIONS):
        _ACTIONS[key](action.table(key))


def tell_runtime(runtime: Table) -> None:
    """Note what the agent on the machine saw."""
    if not runtime:
        return
    if process := runtime.table("Process"):
        _process(process)
        for number, ancestor in enumerate(process.tables("Lineage")):
            if not number:
                ancestor.take("Name", "process.parent.name", A)
                ancestor.take("ExecutablePath", "process.parent.executable", S)
    if context := runtime.table("Context"):
        context.take_all(_CONTEXT)
        _digest(context, "ModuleSha256")
        for key in ("ModifyingProcess", "TargetProcess"):
            context.table(key).take("ExecutablePath", "process.related.executable", S)


def tell_malware(service: Table) -> None:
    """Note what a scan of volumes or of an object found."""
    if not service.has("EbsVolumeScanDetails", "MalwareScanDetails", "Evidence"):
        return
    detections = service.table("EbsVolumeScanDetails").table("ScanDetections")
    for threat in detections.table("ThreatDetectedByName").tables("ThreatNames"):
        threat.take("Name", "threat.software.name", S)
        for found in threat.tables("FilePaths"):
            _file(found, "FilePath")
    for threat in service.table("MalwareScanDetails").tables("Threats"):
        threat.take("Name", "threat.software.name", S)
        threat.take("Source", "event.provider", S)
        for found in threat.tables("ItemPaths"):
            _file(found, "NestedItemPath")
    for intelligence in service.table("Evidence").tables("ThreatIntelligenceDetails"):
        intelligence.take("ThreatListName", "threat.feed.name", S)
        for name in intelligence.items("ThreatNames"):
            service.draft.keep("threat.software.name", name, S, intelligence.path("ThreatNames"))
        _digest(intelligence, "ThreatFileSha256")


def tell_sequence(sequence: Table) -> None:
    """Note who, from where, against what and by which steps: the story of an attack sequence."""
    if not sequence:
        return
    draft = sequence.draft
    for actor in sequence.tables("Actors"):
        if user := actor.table("User"):
            name = user.take("Name", "user.name", DIRECTORY)
            user.take("CredentialUid", "aws.access_key_id", S)
            draft.entity(
                EntityType.USER, account_user(name, user.table("Account").text("Uid")), DIRECTORY, role="actor"
            )
        _process(actor.table("Process"))
    for endpoint in sequence.tables("Endpoints"):
        role = _SIDES.get(endpoint.table("Connection").text("Direction").upper(), "source")
        draft.address(endpoint.take("Ip", f"{role}.ip", S), S, role=role)
        draft.peer(endpoint.take("Domain", "dns.question.name", A), A)
        endpoint.take("Port", f"{role}.port", S)
        endpoint.table("Location").take("Country", f"{role}.geo.country_name", S)
        endpoint.table("AutonomousSystem").take("Name", f"{role}.as.organization.name", S)
    for resource in sequence.tables("Resources"):
        tell_sequence_resource(resource)
    for signal in sequence.tables("Signals"):
        signal.take("Name", "event.signal", S)
        for indicator in signal.tables("SignalIndicators"):
            _indicator(indicator)
    for indicator in sequence.tables("SequenceIndicators"):
        _indicator(indicator)


def _indicator(indicator: Table) -> None:
    key = indicator.text("Key").upper()
    values, path = indicator.items("Values"), indicator.path("Values")
    if "TECHNIQUE" in key:
        for value in values:
            claims = _TECHNIQUE.findall(indicator.draft.text(value, path))
            indicator.draft.techniques(claims or [value], S, path)
    elif "TACTIC" in key:
        for value in values:
            indicator.draft.keep("threat.tactic.name", value, S, path)
    elif "USER_AGENT" in key:
        for value in values:
            indicator.draft.keep("user_agent.original", value, A, path)
    else:
        indicator.take("Key", "threat.indicator", S)


def _probes(probes: Table) -> None:
    for probe in probes.tables("PortProbeDetails"):
        _ports(probe)
        _remote(probe, "source")


def _dns(dns: Table) -> None:
    dns.draft.peer(dns.take("Domain", "dns.question.name", A), A)
    _transport(dns)
    _blocked(dns)


def _call(call: Table) -> None:
    call.take_all(_API)
    _remote(call, "source")
    call.draft.peer(call.table("DomainDetails").take("Domain", "source.domain", S), S)
    call.table("RemoteAccountDetails").take("AccountId", "source.cloud.account.id", S)


def _kubernetes_call(call: Table) -> None:
    call.take_all(_KUBERNETES)
    if not _remote(call, "source"):
        for source in call.items("SourceIps"):
            address = call.draft.keep("source.ip", source, S, call.path("SourceIps"))
            call.draft.address(address, S, role="source")


def _login(login: Table) -> None:
    _remote(login, "source")
    for attempt in login.tables("LoginAttributes"):
        user = attempt.take("User", "user.name", A)
        login.draft.entity(EntityType.USER, user.lower(), A, role="target")
        attempt.take("Application", "user_agent.original", A)
        attempt.take("FailedLoginAttempts", "event.failures", S)
        attempt.take("SuccessfulLoginAttempts", "event.successes", S)


def _connection(connection: Table) -> None:
    if not connection:
        return
    direction = connection.take("ConnectionDirection", "network.direction", S).upper()
    _transport(connection)
    _remote(connection, _SIDES.get(direction, "related"))
    _ports(connection, inbound=direction != "OUTBOUND")
    _blocked(connection)


def _ports(connection: Table, *, inbound: bool = True) -> None:
    local, remote = ("destination", "source") if inbound else ("source", "destination")
    connection.table("LocalPortDetails").take("Port", f"{local}.port", S)
    connection.table("RemotePortDetails").take("Port", f"{remote}.port", S)
    connection.table("LocalIpDetails").take("IpAddressV4", "host.ip", S)


def _transport(action: Table) -> None:
    action.draft.keep("network.transport", action.text("Protocol").lower(), S, action.path("Protocol"))


def _blocked(action: Table) -> None:
    if isinstance(blocked := action.get("Blocked"), bool):
        action.draft.keep("event.action", "blocked" if blocked else "allowed", S, action.path("Blocked"))


def _remote(action: Table, role: str) -> bool:
    """Note the other side; tell whether there is one."""
    remote = action.table("RemoteIpDetails")
    if not remote:
        return False
    for key in ("IpAddressV4", "IpAddressV6"):
        remote.draft.address(remote.take(key, f"{role}.ip", S), S, role="" if role == "related" else role)
    country = remote.table("Country")
    for key, name, provenance in _REMOTE:
        country.take(key, f"{role}.{name}", provenance)
    organisation = remote.table("Organization")
    organisation.take("Asn", f"{role}.as.number", S)
    organisation.take("AsnOrg", f"{role}.as.organization.name", S)
    return True


def _process(process: Table) -> None:
    if not process:
        return
    executable = process.take("ExecutablePath", "process.executable", S) or process.take(
        "Path", "process.executable", S
    )
    process.draft.entity(EntityType.PROCESS, microsoft.same_path(executable), S)
    process.take_all(_PROCESS)
    if not _digest(process, "ExecutableSha256"):
        _digest(process, "Sha256")


def _digest(table: Table, key: str) -> bool:
    digest = table.take(key, "file.hash.sha256", S)
    return table.draft.observable(ObservableType.HASH_SHA256, digest, S) is not None


def _file(found: Table, key: str) -> None:
    path = found.text(key)
    if path:
        microsoft.tell_file(found.draft, path, pointer=found.path(key))
    digest = found.text("Hash")
    kind = {32: "md5", 40: "sha1", 64: "sha256"}.get(len(digest))
    if kind:
        microsoft.tell_hash(found.draft, kind, digest, pointer=found.path("Hash"))


_ACTIONS = {
    "NetworkConnectionAction": _connection,
    "PortProbeAction": _probes,
    "DnsRequestAction": _dns,
    "AwsApiCallAction": _call,
    "KubernetesApiCallAction": _kubernetes_call,
    "RdsLoginAttemptAction": _login,
}
