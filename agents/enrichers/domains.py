"""The part of a name that somebody registered."""

from __future__ import annotations

from urllib.parse import urlsplit

from aurora.kernel.domains import registered_domain
from aurora.kernel.evidence import Finding, derived
from aurora.kernel.models import Alert, Observable, ObservableType
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.sdk import enricher
from aurora.sdk.knowledge import Knowledge


@enricher(id="domains", version="1", title="Registered domains")
async def domains(alert: Alert, knowledge: Knowledge) -> list[Finding]:  # noqa: ARG001 - the signature of all enrichers
    """Find the registered domain of every name, URL and mail address, by the public suffix list.

    One finding of kind `domain` for each registered domain, with the attributes `registered` and
    `host`, the first name under it. Names that nobody can register (`dc01.corp.local`) give none.
    """
    findings: dict[str, Finding] = {}
    for observable in alert.observables:
        host = _host(observable)
        registered = registered_domain(host) if host else None
        if registered and registered not in findings:
            findings[registered] = Finding(
                kind="domain",
                provenance=derived(observable.provenance),
                source="public-suffix-list",
                text=UntrustedText(f"{quoted(host, limit=80)} belongs to {quoted(registered, limit=80)}"),
                attributes={"registered": registered, "host": host},
            )
    return list(findings.values())


def _host(observable: Observable) -> str:
    if observable.type is ObservableType.DOMAIN:
        return observable.value
    if observable.type is ObservableType.EMAIL:
        return observable.value.rpartition("@")[2]
    if observable.type is ObservableType.URL:
        try:
            return urlsplit(observable.value).hostname or ""
        except ValueError:
            return ""
    return ""
