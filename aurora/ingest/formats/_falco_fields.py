"""What the output fields of Falco's event sources become. Who wrote what is told in `aurora.ingest.formats.falco`."""

from __future__ import annotations

from typing import Final

from aurora.ingest.formats import _notes as notes
from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._tree import Leaf, Tree, flat
from aurora.kernel.evidence import Provenance

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE
_I = Provenance.IDENTITY_SERVER


def file_of(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    """Note a file; devices and what the kernel shows of itself are no files of anybody."""
    if not text.startswith(("/dev/", "/proc/", "/sys/")):
        notes.file(draft, text, provenance, path)


def action(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    """Keep the kind of event; `drop` says that the engine lost events, not that anything was dropped."""
    if text != "drop":
        draft.keep("event.action", text, provenance, path)


_SYSCALLS = {
    "evt.type": Leaf("", _S, action),
    "evt.args": Leaf("event.args", _A),
    "evt.arg.path": Leaf("file.path", _A, file_of),
    "evt.arg.name": Leaf("file.path", _A, file_of),
    "evt.res": Leaf("event.outcome", _S),
    "proc.name": Leaf("process.name", _A),
    "proc.exepath": Leaf("process.executable", _S, notes.process),
    "proc.cmdline": Leaf("process.command_line", _A),
    "proc.cwd": Leaf("process.working_directory", _A),
    "proc.pid": Leaf("process.pid", _S),
    "proc.pname": Leaf("process.parent.name", _A),
    "proc.pexepath": Leaf("process.parent.executable", _S),
    "proc.pcmdline": Leaf("process.parent.command_line", _A),
    "proc.ppid": Leaf("process.parent.pid", _S),
    "user.name": Leaf("user.name", _S, notes.user),
    "user.uid": Leaf("user.id", _S),
    "user.loginname": Leaf("user.audit.name", _S),
    "group.name": Leaf("group.name", _S),
    "fd.name": Leaf("fd.name", _A, held=True),
    "fd.filename": Leaf("file.name", _A),
    "fs.path.name": Leaf("file.path", _A, file_of),
    "fs.path.source": Leaf("file.path", _A, file_of),
    "fs.path.target": Leaf("file.target_path", _A),
    "fd.cip": Leaf("source.ip", _S, notes.source),
    "fd.cport": Leaf("source.port", _S),
    "fd.sip": Leaf("destination.ip", _S, notes.destination),
    "fd.sport": Leaf("destination.port", _S),
    "fd.rip": Leaf("related.ip", _S, notes.addressing("remote")),
    "fd.sip.name": Leaf("destination.domain", _A, notes.peer),
    "fd.l4proto": Leaf("network.transport", _S),
    "container.id": Leaf("container.id", _S),
    "container.name": Leaf("container.name", _A),
    "container.image": Leaf("container.image.name", _A),
    "container.image.repository": Leaf("container.image.repository", _A, held=True),
    "container.image.tag": Leaf("container.image.tag", _A, held=True),
    "container.image.digest": Leaf("container.image.hash.all", _S),
    "container.privileged": Leaf("container.security_context.privileged", _S),
    "k8s.ns.name": Leaf("orchestrator.namespace", _A),
    "k8s.pod.name": Leaf("orchestrator.resource.name", _A),
}
_KUBERNETES = {
    "ka.user.name": Leaf("user.name", _I, notes.user),
    "ka.impuser.name": Leaf("user.effective.name", _A),
    "ka.verb": Leaf("event.action", _S),
    "ka.uri": Leaf("url.original", _A),
    "ka.target.namespace": Leaf("orchestrator.namespace", _A),
    "ka.target.resource": Leaf("orchestrator.resource.type", _S),
    "ka.target.name": Leaf("orchestrator.resource.name", _A),
    "ka.target.subresource": Leaf("orchestrator.resource.subtype", _S),
    "ka.req.pod.containers.image": Leaf("container.image.name", _A),
    "ka.req.container.image": Leaf("container.image.name", _A),
    "ka.req.binding.role": Leaf("user.changes.roles", _A),
    "ka.req.role.rules": Leaf("event.args", _A),
    "ka.response.code": Leaf("http.response.status_code", _S),
    "ka.auth.decision": Leaf("event.outcome", _S),
    "ka.useragent": Leaf("user_agent.original", _A, notes.agent),
    "ka.sourceips": Leaf("source.ip", _S, notes.source),
    "ka.cluster.name": Leaf("orchestrator.cluster.name", _S),
}
_CLOUDS = {
    "ct.name": Leaf("event.action", _S),
    "ct.src": Leaf("event.provider", _S),
    "ct.user": Leaf("user.name", _I, notes.user),
    "ct.user.arn": Leaf("user.id", _I),
    "ct.user.accountid": Leaf("cloud.account.id", _I),
    "ct.region": Leaf("cloud.region", _S),
    "ct.srcip": Leaf("source.ip", _S, notes.source),
    "ct.useragent": Leaf("user_agent.original", _A, notes.agent),
    "ct.error": Leaf("event.outcome", _S),
    "ct.request": Leaf("event.args", _A),
    "s3.bucket": Leaf("cloud.resource.id", _A),
    "okta.evt.type": Leaf("event.action", _S),
    "okta.actor.alternateID": Leaf("user.name", _I, notes.user),
    "okta.actor.ID": Leaf("user.id", _I),
    "okta.client.ip": Leaf("source.ip", _S, notes.source),
    "okta.client.geo.country": Leaf("source.geo.country_name", _S),
    "okta.useragent.raw": Leaf("user_agent.original", _A, notes.agent),
    "okta.target.user.alternateID": Leaf("user.target.name", _A),
    "okta.app": Leaf("cloud.service.name", _S),
    "github.user": Leaf("user.name", _I, notes.user),
    "github.action": Leaf("event.action", _S),
    "github.repo": Leaf("cloud.resource.id", _A),
    "github.org": Leaf("cloud.account.id", _S),
    "gcp.user": Leaf("user.name", _I, notes.user),
    "gcp.callerIP": Leaf("source.ip", _S, notes.source),
    "gcp.userAgent": Leaf("user_agent.original", _A, notes.agent),
    "gcp.methodName": Leaf("event.action", _S),
    "gcp.serviceName": Leaf("event.provider", _S),
    "gcp.projectId": Leaf("cloud.project.id", _S),
}
TREE: Final[Tree] = flat({**_SYSCALLS, **_KUBERNETES, **_CLOUDS})
