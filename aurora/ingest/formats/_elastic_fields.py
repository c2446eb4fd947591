"""Which parts of an Elastic document are kept, and who wrote them; see the table of `aurora.ingest.formats.elastic`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aurora.ingest.formats import _notes as notes
from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._tree import Leaf, Note, Tree, tree
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE
_I = Provenance.IDENTITY_SERVER

_BY_SENSOR = (
    "event.action event.category event.code event.module event.outcome event.provider"
    " host.hostname host.ip host.os.name host.risk.calculated_level"
    " agent.type observer.name observer.vendor observer.product"
    " source.port source.geo.country_iso_code source.as.organization.name destination.port"
    " destination.geo.country_iso_code network.direction network.transport network.protocol network.community_id"
    " process.pid process.parent.executable process.entry_leader.executable process.target.executable"
    " process.Ext.token.integrity_level_name"
    " process.code_signature.status process.code_signature.trusted"
    " http.response.status_code dns.question.type dns.response_code tls.version tls.client.ja3"
    " file.owner file.mode file.size file.Ext.quarantine_result file.Ext.malware_classification.identifier"
    " rule.category rule.ruleset rule.reference threat.framework"
    " threat.software.name threat.group.name threat.indicator.type threat.indicator.provider threat.feed.name"
    " vulnerability.severity vulnerability.score.base"
    " cloud.provider cloud.region cloud.account.id cloud.instance.id cloud.project.id cloud.service.name"
    " container.id orchestrator.cluster.name orchestrator.resource.type winlog.channel winlog.logon.type"
)
_BY_ADVERSARY = (
    "message event.original event.reason error.message"
    " process.name process.title process.working_directory process.pe.original_file_name"
    " process.code_signature.subject_name process.parent.name process.parent.command_line"
    " process.command_line process.parent.code_signature.subject_name Ransomware.feature"
    " file.name file.extension file.target_path file.pe.original_file_name dll.name"
    " source.domain http.request.method http.request.referrer http.request.body.content"
    " http.response.mime_type url.original url.path url.query dns.answers.data tls.server.subject"
    " email.subject email.attachments.file.name"
    " registry.value registry.data.strings powershell.command.value powershell.file.script_block_text"
    " container.name orchestrator.namespace orchestrator.resource.name user.changes.name group.name"
    " user.target.domain source.user.name destination.user.name related.user"
    " threat.enrichments.matched.atomic threat.enrichments.matched.field threat.enrichments.indicator.provider"
    " Memory_protection.feature"
)
_OBSERVED: dict[str, Note] = {
    "source.ip": notes.source,
    "destination.ip": notes.destination,
    "client.ip": notes.addressing("client"),
    "server.ip": notes.addressing("server"),
    "process.executable": notes.process,
    "process.hash.sha256": notes.sha256,
    "process.hash.sha1": notes.sha1,
    "process.hash.md5": notes.md5,
    "file.hash.sha256": notes.sha256,
    "file.hash.sha1": notes.sha1,
    "file.hash.md5": notes.md5,
    "dll.hash.sha256": notes.sha256,
    "dll.hash.md5": notes.md5,
    "registry.path": notes.registry,
    "vulnerability.id": notes.vulnerabilities,
}
_OBSERVED_OF_ADVERSARY: dict[str, Note] = {
    "file.path": notes.file,
    "dll.path": notes.file,
    "url.full": notes.url,
    "url.domain": notes.peer,
    "destination.domain": notes.peer,
    "dns.question.name": notes.peer,
    "tls.client.server_name": notes.peer,
    "user_agent.original": notes.agent,
    "email.from.address": notes.email,
    "email.sender.address": notes.email,
    "email.to.address": notes.naming(EntityType.MAILBOX, "recipient"),
    "container.image.name": notes.naming(EntityType.APPLICATION, "container"),
    "user.target.name": notes.naming(EntityType.USER, "target"),
    "user.effective.name": notes.naming(EntityType.USER),
}
_HELD = (
    "event.severity event.risk_score host.name agent.name user.name user.domain user.id user.email"
    " rule.name rule.id rule.uuid"
)
_RULE = {
    "name": Leaf("alert.rule.name", _S, held=True),
    "rule_id": Leaf("alert.rule.rule_id", _S, held=True),
    "uuid": Leaf("alert.rule.uuid", _S, held=True),
    "id": Leaf("alert.rule.uuid", _S, held=True),
    "description": Leaf("rule.description", _S),
    "rule_name_override": Leaf("alert.override", _S, held=True),
    "parameters.rule_name_override": Leaf("alert.override", _S, held=True),
    "severity": Leaf("alert.rule.severity", _S, held=True),
    "risk_score": Leaf("alert.rule.risk", _S, held=True),
    "threat.tactic.name": Leaf("threat.tactic.name", _S),
    "threat.technique.id": Leaf("", _S, notes.technique),
    "threat.technique.subtechnique.id": Leaf("", _S, notes.technique),
}
_ALERT = {
    "severity": Leaf("alert.severity", _S, held=True),
    "risk_score": Leaf("alert.risk", _S, held=True),
    "reason": Leaf("event.reason", _A),
    "original_time": Leaf("alert.time", _S, held=True),
    "workflow_status": Leaf("event.status", _S),
    "workflow_reason": Leaf("event.classification", Provenance.HUMAN),
    "building_block_type": Leaf("kibana.alert.building_block_type", _S),
    **{
        f"original_event.{key}": Leaf(f"event.{key}", _S) for key in ("action", "category", "code", "module", "outcome")
    },
    **{f"rule.{path}": leaf for path, leaf in _RULE.items()},
}


def _denied(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    """Keep in the words of all formats that what ECS calls denied did not happen."""
    if text == "denied":
        draft.keep("event.action", "blocked", provenance, path)


def _named(names: str | Iterable[str], provenance: Provenance, *, held: bool = False) -> dict[str, Leaf]:
    return {name: Leaf(name, provenance, held=held) for name in (names.split() if isinstance(names, str) else names)}


DOCUMENT: Final[Tree] = tree(
    {
        **_named(_BY_SENSOR, _S),
        "event.type": Leaf("event.type", _S, _denied),
        **_named(_BY_ADVERSARY, _A),
        **{name: Leaf(name, _S, note) for name, note in _OBSERVED.items()},
        **{name: Leaf(name, _A, note) for name, note in _OBSERVED_OF_ADVERSARY.items()},
        **_named(_HELD, _A, held=True),
        "@timestamp": Leaf("@timestamp", _S, held=True),
        "threat.tactic.name": Leaf("threat.tactic.name", _S),
        "threat.technique.id": Leaf("", _S, notes.technique),
        "threat.technique.subtechnique.id": Leaf("", _S, notes.technique),
        "rule.description": Leaf("rule.description", _S),
        "Target.process.executable": Leaf("process.target.executable", _S),
        "Target.process.name": Leaf("process.target.name", _A),
        **{f"kibana.alert.{path}": leaf for path, leaf in _ALERT.items()},
        "signal.status": Leaf("event.status", _S),
        **{f"signal.{path}": leaf for path, leaf in _ALERT.items() if path not in {"severity", "risk_score"}},
    }
)
