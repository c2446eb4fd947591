"""State of the graphs: JSON primitives only, so that every checkpoint can be read by anything."""

from __future__ import annotations

from typing import Any, TypedDict

Json = dict[str, Any]


class TriageState(TypedDict, total=False):
    """State of `triage`. Each key is written by the one node that its comment names."""

    alert_id: str
    """Input."""
    alert: Json
    """load: the `Alert`."""
    observables: list[Json]
    """observables: every `Observable`, the alert's own first, then those found in its text."""
    recalled: list[Json]
    """recall: `Finding`s of kind `past_verdict`, then of kind `similar_case` and `fact`."""
    enriched: list[Json]
    """enrich: `Finding`s of all enrichers, in the order of their ids."""
    related: list[Json]
    """correlate: `Finding`s of kind `related`."""
    contributions: list[Json]
    """assess: a `Contribution` for each rule that speaks, and for each claim of the model."""
    looked_up: list[Json]
    """assess: `Evidence` from the tools that the model called."""
    opinion: Json | None
    """assess: what came of asking the model; `None`: none is configured."""
    kept: list[Json]
    """verify: the contributions that hold."""
    dropped: list[Json]
    """verify: the claims and techniques that do not, with the reason."""
    verdict: Json
    """decide: the `Verdict`."""
    verdict_id: str
    """record: id of the verdict that stands."""
    case_id: str | None
    """record: the case that the alert belongs to now."""
