"""What ATT&CK says of the techniques that the alert names."""

from __future__ import annotations

from aurora.kernel.evidence import Finding, Provenance, derived
from aurora.kernel.models import Alert
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk import enricher
from aurora.sdk.knowledge import Knowledge


@enricher(id="techniques", version="1", title="ATT&CK techniques")
async def techniques(alert: Alert, knowledge: Knowledge) -> list[Finding]:
    """Find name and tactics of each technique that the product claims.

    One finding of kind `technique` each, with the attributes `id`, `name` and `tactics` (short names,
    parted by commas). Ids that ATT&CK does not know give none.
    """
    claimed = {str.__str__(field.value): field.provenance for _, field in alert.named("threat.technique.id")}
    attack = knowledge.attack
    findings = []
    for claim in alert.mitre_techniques:
        current = attack.current(claim)
        technique = attack.technique(current) if current else None
        if technique is None:
            continue
        tactics = [tactic.key for tactic in technique.tactics]
        findings.append(
            Finding(
                kind="technique",
                provenance=derived(claimed.get(claim, Provenance.AGENT_DERIVED)),
                source=f"attack@{attack.version}",
                text=UntrustedText(f"{technique.id} {technique.name} ({', '.join(tactics)})"),
                attributes={"id": technique.id, "name": technique.name, "tactics": ",".join(tactics)},
            )
        )
    return findings
