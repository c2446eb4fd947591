"""What other alerts say that share something rare with this one."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import claim
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView


@rule(id="corroboration.related", version="1", title="Independent sources on the same rare value")
def related(view: TriageView) -> Iterator[Contribution]:
    """Raise when products that do not know of each other point at the same host, user or value.

    Looks for: `related` findings: how many alerts share a rare value, from how many kinds of product,
    how many of them severe, and with how many techniques.

    Why: two detectors rarely err together on one machine. Many alerts of *one* product are one opinion,
    repeated, so that their number alone counts for nothing.

    Weights: +3 a second source (this alert's own is the first) and +1 a third; +2 a severe alert among
    them; +2 three techniques or more. Chosen so that corroboration alone (8) makes `suspicious`, not `malicious`.

    Refuted by: a value that is not rare after all (a proxy, a jump host).
    """
    for each in view.found("related"):
        alerts, severe, techniques = (
            _count(each.attributes.get(name, "")) for name in ("alerts", "severe", "techniques")
        )
        sources = len({view.alert.source, *each.attributes.get("sources", "").split(",")} - {""})
        weight = 3.0 * (sources >= 2) + 1.0 * (sources >= 3) + 2.0 * (severe >= 1) + 2.0 * (techniques >= 3)
        if weight:
            shared = quoted(each.attributes.get("shared_value", ""), limit=60)
            yield Contribution(
                rule="corroboration.related",
                weight=weight,
                claim=claim(
                    f"{_told(alerts, 'other alert')} name {shared}, from {_told(sources, 'source')} with this one: "
                    f"{severe} severe, {_told(techniques, 'technique')}",
                    each.id,
                ),
            )


def _told(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _count(text: str) -> int:
    """Return a number, or how many items a list in text has."""
    if text.isdecimal():
        return int(text)
    return len([part for part in text.split(",") if part.strip()])
