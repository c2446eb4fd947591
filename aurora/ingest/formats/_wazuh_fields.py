"""What the parts of a Wazuh alert become. Who wrote what is told in `aurora.ingest.formats.wazuh`."""

from __future__ import annotations

import re
from typing import Final

from aurora.ingest.formats import _notes as notes
from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._tree import Leaf, Tree, tree
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE
_I = Provenance.IDENTITY_SERVER

_ESCAPED = re.compile(r"(?:[^\\]|\\[\\\"])*")
_ESCAPE = re.compile(r"\\([\\\"])")
_SYSMON_TECHNIQUE = re.compile(r"technique_id=(T\d{4}(?:\.\d{3})?)")
_HASHES = {
    "SHA256": ObservableType.HASH_SHA256,
    "SHA1": ObservableType.HASH_SHA1,
    "MD5": ObservableType.HASH_MD5,
}


def unescaped(text: str) -> str:
    r"""Return text of Windows events as Windows wrote it: Wazuh puts a further `\` before each `\` and `"`."""
    if "\\" not in text or not _ESCAPED.fullmatch(text):
        return text
    return _ESCAPE.sub(r"\1", text)


def _hashes(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    """Keep the hashes that Sysmon writes as `SHA1=…,MD5=…`."""
    for part in text.split(",")[:8]:
        algorithm, _, digest = part.partition("=")
        kind = _HASHES.get(algorithm.strip().upper())
        if kind is not None and draft.observable(kind, digest, provenance) is not None:
            draft.keep(f"file.hash.{algorithm.strip().lower()}", digest, provenance, path)


def _sysmon_rule(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    draft.techniques(_SYSMON_TECHNIQUE.findall(text), provenance, path)


def _object(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    r"""Keep the path of a registry key or of a file: integrity monitoring writes both into one place."""
    if text.upper().startswith("HKEY_"):
        draft.keep("registry.path", text, _S, path)
        draft.observable(ObservableType.REGISTRY_KEY, text, _S)
    else:
        draft.keep("file.path", text, provenance, path)
        notes.file(draft, text, provenance, path)


def _threat_path(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    """Keep where Microsoft Defender found something: `file:_C:/x.exe` or, with further places, `…; file:_…`."""
    for place in text.split("; ")[:16]:
        name = place.removeprefix("file:_")
        draft.keep("file.path", name, provenance, path)
        notes.file(draft, name, provenance, path)


def _docker_action(draft: Draft, text: str, _provenance: Provenance, path: str) -> None:
    """Keep `exec_create: sh -c id` as action and command line."""
    action, colon, command = text.partition(": ")
    draft.keep("event.action", action, _S, path)
    if colon:
        draft.keep("process.command_line", command, _A, path)


def _image(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
    draft.entity(EntityType.APPLICATION, text.lower(), provenance, role="container")


_DECODED = {
    "srcip": Leaf("source.ip", _S, notes.source),
    "src_ip": Leaf("source.ip", _S, notes.source),
    "srcport": Leaf("source.port", _S),
    "src_port": Leaf("source.port", _S),
    "dstip": Leaf("destination.ip", _S, notes.destination),
    "dest_ip": Leaf("destination.ip", _S, notes.destination),
    "dstport": Leaf("destination.port", _S),
    "dest_port": Leaf("destination.port", _S),
    "proto": Leaf("network.transport", _S, clean=str.lower),
    "app_proto": Leaf("network.protocol", _S),
    "srcuser": Leaf("srcuser", _A, held=True),
    "dstuser": Leaf("dstuser", _A, held=True),
    "uid": Leaf("user.id", _S),
    "url": Leaf("url.original", _A, notes.url),
    "protocol": Leaf("protocol", _A, held=True),
    "id": Leaf("id", _S, held=True),
    "action": Leaf("event.action", _S),
    "status": Leaf("event.outcome", _A),
    "command": Leaf("process.command_line", _A),
    "pwd": Leaf("process.working_directory", _A),
    "extra_data": Leaf("event.args", _A),
    "title": Leaf("event.reason", _A),
    "file": Leaf("file.path", _A, notes.file),
    "package": Leaf("package.name", _A),
    "version": Leaf("package.version", _A),
    "system_name": Leaf("system_name", _A, held=True),
    "parameters.alert.data.srcip": Leaf("source.ip", _S, notes.source),
}
"""What decoders of log lines find; alerts of OSSEC and early Wazuh have it beside the rule, later ones in `data`."""

_PROGRAMS = {
    "audit.exe": Leaf("process.executable", _S, notes.process),
    "audit.command": Leaf("process.name", _A),
    "audit.cwd": Leaf("process.working_directory", _A),
    "audit.key": Leaf("rule.tag", _S),
    "audit.success": Leaf("event.outcome", _S),
    "audit.auid": Leaf("user.id", _S),
    "audit.pid": Leaf("process.pid", _S),
    "audit.ppid": Leaf("process.parent.pid", _S),
    "audit.file.name": Leaf("file.path", _A, notes.file),
    "audit.directory.name": Leaf("file.directory", _A),
    "audit.acct": Leaf("srcuser", _A, held=True),
    "virustotal.source.file": Leaf("file.path", _A, notes.file),
    "virustotal.source.md5": Leaf("file.hash.md5", _S, notes.md5),
    "virustotal.source.sha1": Leaf("file.hash.sha1", _S, notes.sha1),
    "virustotal.malicious": Leaf("virustotal.malicious", _S, held=True),
    "virustotal.positives": Leaf("threat.indicator.scanner_stats", _S),
    "virustotal.total": Leaf("threat.indicator.scanners", _S),
    "virustotal.permalink": Leaf("threat.indicator.reference", _S),
    "vulnerability.cve": Leaf("vulnerability.id", _S, notes.vulnerabilities),
    "vulnerability.severity": Leaf("vulnerability.severity", _S),
    "vulnerability.status": Leaf("vulnerability.status", _S),
    "vulnerability.title": Leaf("vulnerability.description", _S),
    "vulnerability.package.name": Leaf("package.name", _S),
    "vulnerability.package.version": Leaf("package.version", _S),
    "vulnerability.cvss.cvss3.base_score": Leaf("vulnerability.score.base", _S),
    "sca.check.id": Leaf("detail", _S, held=True),
    "sca.check.title": Leaf("rule.benchmark.check", _S),
    "sca.check.result": Leaf("event.outcome", _S),
    "sca.policy": Leaf("rule.benchmark.name", _S),
    "sca.check.compliance.mitre_techniques": Leaf("rule.benchmark.techniques", _S),
    "osquery.name": Leaf("detail", _S, held=True),
    "osquery.columns.path": Leaf("file.path", _A, notes.file),
    "osquery.columns.cmdline": Leaf("process.command_line", _A),
    "docker.Type": Leaf("event.category", _S),
    "docker.Action": Leaf("", _S, _docker_action),
    "docker.Actor.ID": Leaf("container.id", _S),
    "docker.Actor.Attributes.name": Leaf("container.name", _A),
    "docker.Actor.Attributes.image": Leaf("container.image.name", _A, _image),
    "docker.from": Leaf("container.image.name", _A, _image),
    "alert.signature": Leaf("rule.name", _S),
    "alert.signature_id": Leaf("signature", _S, held=True),
    "alert.gid": Leaf("generator", _S, held=True),
    "alert.category": Leaf("rule.category", _S),
    "alert.action": Leaf("event.action", _S),
    "alert.metadata.mitre_technique_id": Leaf("", _S, notes.technique),
    "http.hostname": Leaf("url.domain", _A, notes.peer),
    "http.url": Leaf("url.original", _A, notes.url),
    "http.http_method": Leaf("http.request.method", _A),
    "http.http_user_agent": Leaf("user_agent.original", _A, notes.agent),
    "http.status": Leaf("http.response.status_code", _S),
    "tls.sni": Leaf("tls.client.server_name", _A, notes.peer),
    "tls.subject": Leaf("tls.server.subject", _A),
    "tls.fingerprint": Leaf("tls.server.hash.sha1", _S),
    "dns.query.rrname": Leaf("dns.question.name", _A, notes.peer),
    "dns.rrname": Leaf("dns.question.name", _A, notes.peer),
    "integration": Leaf("event.module", _S),
    "in_iface": Leaf("observer.ingress.interface.name", _S),
}
_CLOUDS = {
    "aws.eventName": Leaf("event.action", _S),
    "aws.eventSource": Leaf("event.provider", _S),
    "aws.source": Leaf("event.module", _S),
    "aws.awsRegion": Leaf("cloud.region", _S),
    "aws.aws_account_id": Leaf("cloud.account.id", _S),
    "aws.sourceIPAddress": Leaf("source.ip", _S, notes.source),
    "aws.source_ip_address": Leaf("source.ip", _S, notes.source),
    "aws.userAgent": Leaf("user_agent.original", _A, notes.agent),
    "aws.userIdentity.userName": Leaf("user.name", _I, notes.user),
    "aws.userIdentity.arn": Leaf("user.id", _I),
    "aws.userIdentity.type": Leaf("user.roles", _I),
    "aws.errorCode": Leaf("event.outcome", _S),
    "aws.errorMessage": Leaf("error.message", _A),
    "aws.type": Leaf("detail", _S, held=True),
    "aws.title": Leaf("event.reason", _A),
    "aws.severity": Leaf("event.risk_score", _S),
    "aws.srcaddr": Leaf("source.ip", _S, notes.source),
    "aws.dstaddr": Leaf("destination.ip", _S, notes.destination),
    "aws.resource.instanceDetails.instanceId": Leaf("cloud.instance.id", _S),
    "aws.service.action.networkConnectionAction.remoteIpDetails.ipAddressV4": Leaf(
        "related.ip", _S, notes.addressing("remote")
    ),
    "office365.Operation": Leaf("event.action", _S),
    "office365.Workload": Leaf("event.provider", _S),
    "office365.UserId": Leaf("user.name", _I, notes.user),
    "office365.ClientIP": Leaf("source.ip", _S, notes.source, notes.bare_address),
    "office365.ActorIpAddress": Leaf("source.ip", _S, notes.source, notes.bare_address),
    "office365.ResultStatus": Leaf("event.outcome", _S),
    "office365.UserAgent": Leaf("user_agent.original", _A, notes.agent),
    "office365.ObjectId": Leaf("url.original", _A, notes.url),
    "office365.SourceFileName": Leaf("file.name", _A, notes.file),
    "office365.AlertType": Leaf("rule.category", _S),
    "github.action": Leaf("event.action", _S),
    "github.actor": Leaf("user.name", _I, notes.user),
    "github.actor_ip": Leaf("source.ip", _S, notes.source),
    "github.actor_location.country_code": Leaf("source.geo.country_iso_code", _S),
    "github.org": Leaf("cloud.account.id", _S),
    "github.repo": Leaf("cloud.resource.id", _A),
    "github.user": Leaf("user.target.name", _A),
    "gcp.protoPayload.methodName": Leaf("event.action", _S),
    "gcp.protoPayload.authenticationInfo.principalEmail": Leaf("user.name", _I, notes.user),
    "gcp.protoPayload.requestMetadata.callerIp": Leaf("source.ip", _S, notes.source),
    "gcp.protoPayload.requestMetadata.callerSuppliedUserAgent": Leaf("user_agent.original", _A, notes.agent),
}
SERVICES: Final = frozenset({"aws", "gcp", "github", "ms-graph", "office365"})
"""Parts of `data` that the manager fetched from a service: no agent took part."""

_EVENT = {
    "Image": Leaf("process.executable", _S, notes.process),
    "NewProcessName": Leaf("process.executable", _S, notes.process),
    "ProcessName": Leaf("process.executable", _S, notes.process),
    "Application": Leaf("process.executable", _S, notes.process),
    "SourceImage": Leaf("process.executable", _S, notes.process),
    "TargetImage": Leaf("process.target.executable", _S),
    "ImageLoaded": Leaf("dll.path", _A, notes.file),
    "CommandLine": Leaf("process.command_line", _A),
    "CurrentDirectory": Leaf("process.working_directory", _A),
    "OriginalFileName": Leaf("process.pe.original_file_name", _A),
    "ParentImage": Leaf("process.parent.executable", _S),
    "ParentProcessName": Leaf("process.parent.executable", _S),
    "ParentCommandLine": Leaf("process.parent.command_line", _A),
    "IntegrityLevel": Leaf("process.integrity_level", _S),
    "GrantedAccess": Leaf("process.granted_access", _S),
    "User": Leaf("user.name", _S, notes.user),
    "SourceUser": Leaf("user.name", _S, notes.user),
    "Hashes": Leaf("", _S, _hashes),
    "RuleName": Leaf("", _S, _sysmon_rule),
    "TargetFilename": Leaf("file.path", _A, notes.file),
    "TargetObject": Leaf("registry.path", _S, notes.registry),
    "ObjectName": Leaf("file.path", _A, notes.file),
    "Details": Leaf("registry.data.strings", _A),
    "PipeName": Leaf("file.name", _A),
    "SourceIp": Leaf("source.ip", _S, notes.source),
    "SourcePort": Leaf("source.port", _S),
    "DestinationIp": Leaf("destination.ip", _S, notes.destination),
    "DestinationPort": Leaf("destination.port", _S),
    "DestinationHostname": Leaf("destination.domain", _A, notes.peer),
    "Protocol": Leaf("network.transport", _S),
    "QueryName": Leaf("dns.question.name", _A, notes.peer),
    "QueryResults": Leaf("dns.answers.data", _A),
    "IpAddress": Leaf("source.ip", _S, notes.source, notes.bare_address),
    "IpPort": Leaf("source.port", _S),
    "WorkstationName": Leaf("source.domain", _A),
    "LogonType": Leaf("winlog.logon.type", _S),
    "LogonProcessName": Leaf("winlog.logon.process", _S),
    "AuthenticationPackageName": Leaf("winlog.logon.package", _S),
    "Status": Leaf("event.reason_code", _S),
    "SubjectUserName": Leaf("subject.name", _S, held=True),
    "SubjectDomainName": Leaf("subject.domain", _S, held=True),
    "SubjectUserSid": Leaf("subject.id", _S, held=True),
    "TargetUserName": Leaf("target.name", _S, held=True),
    "TargetDomainName": Leaf("target.domain", _S, held=True),
    "TargetUserSid": Leaf("target.id", _S, held=True),
    "TargetSid": Leaf("target.id", _S, held=True),
    "MemberName": Leaf("user.changes.name", _A),
    "GroupName": Leaf("group.name", _S),
    "ServiceName": Leaf("service.name", _A),
    "ServiceFileName": Leaf("process.command_line", _A),
    "ImagePath": Leaf("process.command_line", _A),
    "TaskName": Leaf("winlog.task_name", _A),
    "TaskContent": Leaf("process.command_line", _A),
    "ShareName": Leaf("smb.share", _A),
    "RelativeTargetName": Leaf("file.path", _A),
    "TicketEncryptionType": Leaf("kerberos.encryption", _S),
    "ScriptBlockText": Leaf("powershell.file.script_block_text", _A),
    "Payload": Leaf("powershell.command.value", _A),
    "Threat Name": Leaf("threat.software.name", _S),
    "Category Name": Leaf("threat.software.type", _S),
    "Action Name": Leaf("event.action", _S),
    "Detection User": Leaf("user.name", _S, notes.user),
    "Process Name": Leaf("process.executable", _S, notes.process),
    "Path": Leaf("", _A, _threat_path),
}
_SYSTEM = {
    "ProviderName": Leaf("event.provider", _S),
    "EventID": Leaf("event.code", _S),
    "Channel": Leaf("winlog.channel", _S),
    "Computer": Leaf("host.hostname", _S),
    "Message": Leaf("message", _A),
}
"""As Windows, and Sysmon for Linux, spell them; Wazuh writes the first letter of Windows' small."""


def _windows(prefix: str, names: dict[str, Leaf]) -> dict[str, Leaf]:
    return {f"{prefix}.{name[0].lower()}{name[1:]}": leaf._replace(clean=unescaped) for name, leaf in names.items()}


_INTEGRITY = {
    "path": Leaf("", _A, _object),
    "event": Leaf("event.action", _S),
    "sha256_after": Leaf("file.hash.sha256", _S, notes.sha256),
    "sha1_after": Leaf("file.hash.sha1", _S, notes.sha1),
    "md5_after": Leaf("file.hash.md5", _S, notes.md5),
    "uname_after": Leaf("file.owner", _S),
    "perm_after": Leaf("file.mode", _S),
    "size_after": Leaf("file.size", _S),
    "value_name": Leaf("registry.value", _A),
    "diff": Leaf("file.diff", _A),
    "audit.user.name": Leaf("user.name", _S, notes.user),
    "audit.user.id": Leaf("user.id", _S),
    "audit.process.name": Leaf("process.executable", _S, notes.process),
    "audit.process.parent_name": Leaf("process.parent.executable", _S),
}
_SERVICE_ALIASES = {
    path.replace("office365.", "office_365."): leaf for path, leaf in _CLOUDS.items() if path.startswith("office365.")
}
DATA: Final[Tree] = tree(
    {
        **_DECODED,
        **_PROGRAMS,
        **_CLOUDS,
        **_SERVICE_ALIASES,
        **{f"win.system.{name[0].lower()}{name[1:]}": leaf for name, leaf in _SYSTEM.items()},
        **_windows("win.eventdata", _EVENT),
        **{f"Event.System.{name}": leaf for name, leaf in _SYSTEM.items()},
        **{f"Event.EventData.Data.{name}": leaf for name, leaf in _EVENT.items()},
    }
)
BESIDE: Final[Tree] = tree(
    {
        **{key: leaf for key, leaf in _DECODED.items() if key not in {"id", "title", "file", "version"}},
        **{f"syscheck.{path}": leaf for path, leaf in _INTEGRITY.items()},
        **{f"SyscheckFile.{path}": leaf for path, leaf in _INTEGRITY.items()},
        "predecoder.program_name": Leaf("process.name", _A),
        "program_name": Leaf("process.name", _A),
        "predecoder.hostname": Leaf("hostname", _A, held=True),
        "hostname": Leaf("hostname", _A, held=True),
        "decoder.name": Leaf("event.module", _S),
        "location": Leaf("log.file.path", _S),
        "manager.name": Leaf("observer.name", _S),
        "full_log": Leaf("event.original", _A),
    }
)
"""What stands beside `rule`, `agent` and `data`."""
