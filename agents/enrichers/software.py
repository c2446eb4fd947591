"""Attack software that the alert names."""

from __future__ import annotations

from aurora.kernel.evidence import Finding, Provenance, derived
from aurora.kernel.models import Alert
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk import enricher
from aurora.sdk.knowledge import Knowledge

_READ = (
    "rule.name",
    "threat.software.name",
    "threat.software.family",
    "process.command_line",
    "process.executable",
    "file.path",
    "file.name",
    "email.attachments.file.name",
    "process.name",
)


@enricher(id="software", version="1", title="Attack software")
async def software(alert: Alert, knowledge: Knowledge) -> list[Finding]:
    """Find software of ATT&CK's list in the product's words, command lines, files and programs.

    One finding of kind `software` for each, from the most trustworthy place that names it, with the
    attributes `id`, `name`, `software_kind` (malware or tool), `built_in`, and `field`, where it stands.
    """
    found: dict[str, Finding] = {}
    for _, field in alert.named(*_READ):
        provenance = derived(field.provenance)
        for each in knowledge.attack.mentioned(str.__str__(field.value)):
            known = found.get(each.id)
            if known is not None and (
                known.provenance is not Provenance.ATTACKER_WRITABLE or provenance is Provenance.ATTACKER_WRITABLE
            ):
                continue
            found[each.id] = Finding(
                kind="software",
                provenance=provenance,
                source=f"attack@{knowledge.attack.version}",
                text=UntrustedText(f"{each.name} ({each.id}), {each.kind.value}, named in {field.name}"),
                attributes={
                    "id": each.id,
                    "name": each.name,
                    "software_kind": each.kind.value,
                    "built_in": str(each.built_in).lower(),
                    "field": field.name,
                },
            )
    return [found[known] for known in sorted(found)]
