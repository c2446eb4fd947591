"""Alerts to judge, and all rules and enrichers to judge them with."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from uuid import UUID

import agents.enrichers
import agents.rules
from aurora.kernel.evidence import Evidence, Finding, Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, Severity, SourceField
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.spec import EnricherSpec, RuleSpec
from aurora.sdk.view import TriageView

SENSOR, WRITABLE = Provenance.SENSOR, Provenance.ATTACKER_WRITABLE
TRUSTED_NAMES = ("rule.", "event.", "threat.", "source.", "destination.", "network.")


def specs(package, kind):
    found = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        found |= {each.id: each for each in vars(importlib.import_module(info.name)).values() if isinstance(each, kind)}
    return [found[known] for known in sorted(found)]


RULES: Sequence[RuleSpec] = specs(agents.rules, RuleSpec)
ENRICHERS: Sequence[EnricherSpec] = specs(agents.enrichers, EnricherSpec)


def make_alert(*fields: tuple, severity: Severity = Severity.MEDIUM, title: str = "An alert", **more) -> Alert:
    """Return an alert; a field is (name, value) or (name, value, provenance); else its name decides."""
    written = [("event.severity", severity.value), ("rule.name", title), *fields]
    kept = [
        SourceField(
            name=name,
            value=UntrustedText(value),
            path=f"/{number}",
            provenance=given[0] if given else SENSOR if name.startswith(TRUSTED_NAMES) else WRITABLE,
        )
        for number, (name, value, *given) in enumerate(written)
    ]
    return Alert(
        id=AlertId(UUID(int=1)),
        title=UntrustedText(title),
        severity=severity,
        source="test",
        fields=tuple(kept),
        **more,
    )


def see(alert: Alert, *findings: Finding) -> TriageView:
    found = tuple(Evidence(id=f"e{number}", **finding.model_dump()) for number, finding in enumerate(findings, start=1))
    return TriageView(alert, alert.evidence() + found)


def found(kind: str, provenance: Provenance = Provenance.AGENT_DERIVED, **attributes: str) -> Finding:
    return Finding(kind=kind, provenance=provenance, text=UntrustedText(kind), attributes=attributes)
