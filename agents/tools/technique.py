"""Tool: what ATT&CK says of a technique."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk import RetryWithHint, ToolContext, tool


@tool(id="technique", version="1", title="Look a technique up")
async def technique(
    id: Annotated[str, Field(pattern=r"^T\d{4}(\.\d{3})?$", description="ATT&CK id, such as T1059.001.")],
    *,
    context: ToolContext,
) -> Sequence[Finding]:
    """Look up name, tactics and current id of an ATT&CK technique."""
    attack = context.knowledge.attack
    current = attack.current(id)
    known = attack.technique(current) if current else None
    if known is None:
        raise RetryWithHint("ATT&CK knows no such technique; give an id such as T1059 or T1059.001")
    tactics = [tactic.key for tactic in known.tactics]
    was = "" if known.id == id else f", formerly {id}"
    return [
        Finding(
            kind="technique",
            provenance=Provenance.AGENT_DERIVED,
            source=f"attack@{attack.version}",
            text=UntrustedText(f"{known.id} {known.name} ({', '.join(tactics)}{was})"),
            attributes={"id": known.id, "name": known.name, "tactics": ",".join(tactics)},
        )
    ]
