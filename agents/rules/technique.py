"""What ATT&CK says about the techniques that the product names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agents.rules._reading import claim
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import Severity
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

TACTICS = {
    "impact": 8.0,
    "credential-access": 7.0,
    "exfiltration": 7.0,
    "command-and-control": 6.0,
    "lateral-movement": 6.0,
    "privilege-escalation": 5.0,
    "defense-impairment": 5.0,
    "stealth": 4.0,
    "defense-evasion": 4.0,
    "persistence": 4.0,
    "initial-access": 4.0,
    "execution": 4.0,
    "collection": 4.0,
    "discovery": 2.0,
    "reconnaissance": 1.0,
    "resource-development": 1.0,
}
"""By how far along an attack is that does this: the later, the less often it is anything else."""

SURENESS = {Severity.INFO: 0.25, Severity.LOW: 0.5, Severity.MEDIUM: 0.75, Severity.HIGH: 1.0, Severity.CRITICAL: 1.0}
"""A tag says what the behaviour is called; the severity says how sure the product is that it is one."""


@rule(id="detection.technique", version="1", title="ATT&CK techniques and tactics")
def technique(view: TriageView) -> Iterator[Contribution]:
    """Weigh the techniques of the alert by their tactics, and breadth across tactics.

    Looks for: `technique` findings (name and tactics from ATT&CK). A technique with several tactics
    counts as the mildest of them: T1078 on a login says persistence no more than it says nothing.

    Why: impact, credential access, exfiltration, command and control and lateral movement are rarely
    the work of administrators; discovery mostly is.

    Weights: by tactic, +8 (impact) to +1 (reconnaissance), times a quarter to one by the severity of
    the alert; +1 for every further tactic, at most +3, because an attack has stages and an accident has not.
    Chosen by ordering; to be replaced by measured ratios once analysts' decisions exist.

    Refuted by: verdicts of analysts, warning lists, the product's own later classification.
    """
    mildest: dict[str, tuple[float, str]] = {}
    cited: defaultdict[str, list[str]] = defaultdict(list)
    breadth: set[str] = set()
    names: dict[str, str] = {}
    for each in view.found("technique"):
        if each.provenance is Provenance.ATTACKER_WRITABLE:
            continue
        tactics = [tactic for tactic in each.attributes.get("tactics", "").split(",") if tactic]
        weights = sorted((TACTICS.get(tactic, 3.0), tactic) for tactic in tactics)
        if weights and (found := each.attributes.get("id")):
            mildest[found] = weights[0]
            names[found] = each.attributes.get("name", found)
            cited[found].append(each.id)
            breadth.add(weights[0][1])
    if not mildest:
        return
    weight, tactic = max(mildest.values())
    shown = sorted(found for found in mildest if mildest[found] == (weight, tactic))
    further = min(3, len(breadth) - 1)
    listed = ", ".join(f"{found} {quoted(names[found], limit=60)}" for found in shown[:3])
    yield Contribution(
        rule="detection.technique",
        weight=(weight + further) * SURENESS[view.alert.severity],
        techniques=tuple(sorted(mildest)),
        claim=claim(
            f"The product names {listed} ({tactic})" + (f" and {further} or more other tactics" if further else ""),
            *(found for name in shown for found in cited[name]),
        ),
    )
