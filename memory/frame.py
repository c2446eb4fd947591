"""Memories as evidence: how an item reaches a prompt. There is no other way; its text never stands in one by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.untrusted import UntrustedText
from memory.items import Item, Trust

KIND = "memory"
MAX_SHOWN = 2_000
"""Characters of an item that are shown; the whole is where `source` says."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def finding(item: Item, *, now: datetime) -> Finding:
    """Return an item as a finding: data with a provenance, for rules and for the framing function.

    Args:
        item: What was recalled.
        now: Its age is reckoned from here.
    """
    attributes = {
        "memory": str(item.id),
        "tier": item.tier.value,
        "kind": item.kind,
        "trust": item.trust.name.lower(),
        "age_days": str(max(0, (now - item.recorded_at) // timedelta(days=1))),
    }
    outcome = item.value.get("outcome")
    # Values may come from outside; what is no plain name is not for rules.
    if isinstance(outcome, str) and _NAME.fullmatch(outcome):
        attributes["outcome"] = str.__str__(outcome)
    return Finding(
        kind=KIND,
        provenance=provenance_of(item),
        text=_line(item.text),
        source=f"memory:{item.id}",
        attributes=attributes,
    )


def findings(items: Iterable[Item], *, now: datetime) -> list[Finding]:
    """Return items as findings, in their order."""
    return [finding(item, now=now) for item in items]


def provenance_of(item: Item) -> Provenance:
    """Return who wrote an item, as evidence has it: what is not known to be better, an attacker may have written.

    A person, where an operator is trusted for it; Aurora, where it concluded it; a sensor, where nothing but sensors
    is behind it.
    """
    if item.trust is Trust.OPERATOR:
        return Provenance.HUMAN
    if item.trust is Trust.AGENT_DERIVED:
        return Provenance.AGENT_DERIVED
    is_observed = bool(item.sources) and all(source.provenance is Provenance.SENSOR for source in item.sources)
    if item.trust is Trust.TOOL_OUTPUT and is_observed:
        return Provenance.SENSOR
    return Provenance.ATTACKER_WRITABLE


def concluded_by(item: Item) -> Provenance:
    """Return whose word a conclusion is: as `provenance_of`, but Aurora's where nobody outside had a part in it."""
    said = provenance_of(item)
    is_outside = item.trust is Trust.EXTERNAL_CONTENT or any(
        source.provenance is Provenance.ATTACKER_WRITABLE for source in item.sources
    )
    return said if is_outside or said is not Provenance.ATTACKER_WRITABLE else Provenance.AGENT_DERIVED


def _line(text: str) -> UntrustedText:
    line = " ".join(text.split())
    return UntrustedText(line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…")
