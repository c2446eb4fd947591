"""What lists say of addresses, domains and other values."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import claim, is_lowerable
from aurora.kernel.evidence import Evidence
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_RAISES = {
    "sinkhole": (8.0, "is a sinkhole: whoever asks for it is infected"),
    "ip_lookup": (3.0, "tells a caller its own address, which malware likes to know"),
    "dynamic_or_disposable": (3.0, "is short-lived or disposable"),
    "user_content": (1.0, "lets anybody put files there"),
}
_LOWERS = {
    "simulation": (-12.0, "belongs to a phishing exercise"),
    "security_service": (-3.0, "belongs to a security service"),
    "benign_infrastructure": (-2.0, "is infrastructure that everybody uses"),
}


@rule(id="reputation.raises", version="1", title="Lists that raise suspicion")
def raises(view: TriageView) -> Iterator[Contribution]:
    """Weigh sinkholes, disposable names, places for anybody's files and address look-ups.

    Why: a name that resolves to a sinkhole belonged to malware; the machine that asks is likely infected.
    Short-lived names and services that tell one's own address are common in attacks, and elsewhere too.

    Weights: +8 sinkhole, +3 disposable and address look-up, +1 user content. Who wrote the value does
    not matter: nobody gains by naming a sinkhole.

    Refuted by: a resolver or a threat intelligence platform that looks such names up by trade.
    """
    for category, (weight, what) in _RAISES.items():
        yield from _listed(view, category, weight, what, rule="reputation.raises")


@rule(id="reputation.scanner", version="1", title="Research scanners")
def scanner(view: TriageView) -> Iterator[Contribution]:
    """Lower alerts whose source is a known research scanner.

    Looks for: the *source* address, as the sensor saw it, on lists of scanners, in a connection from outside.

    Why: they touch every address on the internet and do not exploit what they find.

    Weight: -6. Lists age and addresses are lent, so it closes nothing.

    Refuted by: an answer that shows success, any raise.
    """
    inbound = any(is_lowerable(each) for each in view.found("network", direction="inbound"))
    for each in view.found("warning_list", category="scanner", role="source"):
        if inbound and is_lowerable(each):
            yield Contribution(
                rule="reputation.scanner",
                weight=-6.0,
                claim=claim(f"The source {_value(each)} is a research scanner ({_list(each)})", each.id),
            )


@rule(id="reputation.lowers", version="1", title="Lists that lower suspicion")
def lowers(view: TriageView) -> Iterator[Contribution]:
    """Weigh exercises, security services and shared infrastructure, where the sensor itself saw the value.

    Looks for: listed values of which an adversary is not the author. A domain in a request is the
    client's choice, and a listed one proves nothing (domain fronting, redirects, bait).

    Why: update servers and public resolvers occur in alerts because they occur everywhere.

    Weights: -12 a phishing exercise, -3 security services, -2 infrastructure. Cloud hosting, content
    delivery and popular sites weigh nothing: attackers rent and use them like everybody.

    Refuted by: anything that raises; none of them closes.
    """
    for category, (weight, what) in _LOWERS.items():
        yield from _listed(view, category, weight, what, rule="reputation.lowers")


def _listed(view: TriageView, category: str, weight: float, what: str, *, rule: str) -> Iterator[Contribution]:
    hits = [each for each in view.found("warning_list", category=category) if weight > 0 or is_lowerable(each)]
    if hits:
        first = min(hits, key=lambda each: each.attributes.get("value", ""))
        yield Contribution(
            rule=rule,
            weight=weight,
            claim=claim(f"{_value(first)} {what} ({_list(first)})", *(each.id for each in hits)),
        )


def _value(evidence: Evidence) -> str:
    return quoted(evidence.attributes.get("value", ""), limit=80)


def _list(evidence: Evidence) -> str:
    return quoted(evidence.attributes.get("list", ""), limit=60)
