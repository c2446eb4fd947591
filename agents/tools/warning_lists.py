"""Tool: which warning lists hold a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from agents.tools._values import observable
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.sdk import GiveUp, ToolContext, tool


@tool(id="warning_list", version="1", title="Look a value up in the warning lists")
async def warning_list(
    value: Annotated[str, Field(description="IP address, domain, URL, or file hash.")],
    *,
    context: ToolContext,
) -> Sequence[Finding]:
    """Look up which public lists hold a value: known scanners, cloud providers, popular sites, empty files."""
    found = observable(value)
    hits = context.knowledge.lists.lookup(found.type, found.value)
    if not hits:
        raise GiveUp("no list holds this value; that says nothing about it")
    return [
        Finding(
            kind="warning_list",
            # A model chose the value, so the answer is never better than what Aurora concluded itself.
            provenance=Provenance.AGENT_DERIVED,
            source=f"{hit.list_id}@{hit.version}",
            text=UntrustedText(f"{quoted(found.value, limit=80)} is on the list {quoted(hit.name, limit=80)}"),
            attributes={
                "list": hit.list_id,
                "category": hit.category.value,
                "type": found.type.value,
                "value": found.value,
            },
        )
        for hit in hits
    ]
