"""Which way a connection goes, and how far its addresses reach."""

from __future__ import annotations

from aurora.kernel.evidence import Finding, Provenance, derived
from aurora.kernel.models import Alert, SourceField
from aurora.kernel.networks import direction, scope_of
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.sdk import enricher
from aurora.sdk.knowledge import Knowledge


@enricher(id="addresses", version="1", title="Scope and direction of addresses")
async def addresses(alert: Alert, knowledge: Knowledge) -> list[Finding]:  # noqa: ARG001 - the signature of all enrichers
    """Find the scope of source and destination, and the direction of the connection.

    One finding of kind `network` with the attributes `direction` (inbound, outbound, internal, external,
    unknown), `source`, `destination`, `source_scope` and `destination_scope` (IANA special-purpose
    registries). Own public address ranges are not known here: what is public counts as outside.
    """
    source, destination = _first(alert, "source.ip"), _first(alert, "destination.ip")
    ends = [end for end in (source, destination) if end is not None]
    if not ends:
        return []
    attributes: dict[str, str] = {}
    shown = []
    for name, end in (("source", source), ("destination", destination)):
        if end is not None:
            value = str.__str__(end.value)
            scope = scope_of(value)
            attributes |= {name: value} | ({f"{name}_scope": scope.value} if scope else {})
            shown.append(f"{name} {quoted(value, limit=50)} ({scope.value if scope else 'no address'})")
    attributes["direction"] = direction(attributes.get("source"), attributes.get("destination")).value
    written = [end.provenance for end in ends]
    worst = Provenance.ATTACKER_WRITABLE if Provenance.ATTACKER_WRITABLE in written else written[0]
    return [
        Finding(
            kind="network",
            provenance=derived(worst),
            source="iana-special-purpose",
            attributes=attributes,
            text=UntrustedText(f"{attributes['direction']}: {', '.join(shown)}"),
        )
    ]


def _first(alert: Alert, name: str) -> SourceField | None:
    """Return the first field of this name that the adversary did not write, else the first one."""
    fields = [field for _, field in alert.named(name)]
    return next((field for field in fields if field.provenance.is_trusted), fields[0] if fields else None)
