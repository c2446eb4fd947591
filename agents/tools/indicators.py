"""Tool: what the indicator table says of a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from agents.tools._values import observable
from aurora.kernel.evidence import Finding
from aurora.sdk import GiveUp, ToolContext, tool


@tool(id="lookup_indicator", version="1", title="Look an indicator up")
async def lookup_indicator(
    value: Annotated[str, Field(description="IP address, domain, URL, file hash, e-mail address or CVE id.")],
    *,
    context: ToolContext,
) -> Sequence[Finding]:
    """Look up whether analysts or threat intelligence of this organisation vouch that a value is bad."""
    found = observable(value)
    findings = await context.lookup.indicator(found.type, found.value)
    if not findings:
        raise GiveUp("this value is not in the indicator table; that is no sign of harmlessness")
    return findings
