"""What was concluded of alerts like this one before."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import claim, is_lowerable
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_ANALYST = {"malicious": 30.0, "suspicious": 12.0, "benign": -35.0}
_MODEL = {"malicious": 2.0, "suspicious": 1.0, "benign": 0.0}
_RULES = {"malicious": 1.0, "suspicious": 0.5, "benign": 0.0}
_ALIKE = {"malicious": 14.0, "suspicious": 6.0, "benign": -14.0}
_LIKE = 0.5  # from here on one alert may be excused by another
_OTHER_COMMAND = 0.2
_FRESH_DAYS = 90.0  # a quarter: access reviews and scan schedules repeat at least that often
_STALE_DAYS = 365.0
_UNKNOWN_DAYS = 99_999.0


@rule(id="memory.analyst", version="2", title="Decision of an analyst on the same fingerprint")
def analyst(view: TriageView) -> Iterator[Contribution]:
    """Follow what an analyst decided of an alert with the same rule, entities and observables.

    Looks for: `past_verdict` findings decided by an analyst, the youngest one.

    Why: nobody knows the house better. The fingerprint makes sure that it is the same thing, yet a
    command line is not part of it, so that fresh evidence may still outweigh an old decision.

    Weights: -35 benign (closes), +30 malicious, +12 suspicious; full for 90 days, half up to a year, when
    it no longer closes, a tenth after that. The lowering one is chosen to outweigh a high severity (6), the
    strongest detection (14) and a telling command (11) together. Where memory knows that another command was
    excused than the one that was run now, it does not close, and lowers by a fifth: -7.

    Refuted by: a younger decision.
    """
    decisions = sorted(
        (_age(each.attributes.get("age_days", "")), each.id, each)
        for each in view.found("past_verdict", decided_by="analyst")
        if each.attributes.get("label") in _ANALYST
    )
    is_other = _is_of_another_command(view)
    for age, _, each in decisions[:1]:
        weight = _ANALYST[each.attributes["label"]]
        if weight < 0 and is_other:
            weight *= _OTHER_COMMAND
        share = 1.0 if age <= _FRESH_DAYS else 0.5 if age <= _STALE_DAYS else 0.1
        if weight > 0 or is_lowerable(each):
            yield Contribution(
                rule="memory.analyst",
                weight=weight * share,
                closes=weight < 0 and age <= _FRESH_DAYS and not is_other,
                claim=claim(f"An analyst called the same alert {each.attributes['label']}, {_when(age)}", each.id),
            )


@rule(id="memory.machine", version="2", title="Earlier verdict of rules or a model on the same fingerprint")
def machine(view: TriageView) -> Iterator[Contribution]:
    """Note what rules or a model concluded before, for next to nothing.

    Why: the same evidence under the same rules gives the same verdict; to count it again would be to
    believe oneself for having said it. And whoever provokes a harmless alert first must gain nothing by it.

    Weights: a model +2 or +1; rules +1 or +0.5; nothing where the last of them was benign.

    Refuted by: an analyst.
    """
    for decided_by, weights in (("model", _MODEL), ("rules", _RULES)):
        past = sorted(
            (_age(each.attributes.get("age_days", "")), each.id, each)
            for each in view.found("past_verdict", decided_by=decided_by)
            if each.attributes.get("label") in weights
        )
        for _, _, each in past[:1]:
            weight = weights[each.attributes["label"]]
            if weight > 0:
                who = "A model" if decided_by == "model" else "The rules"
                yield Contribution(
                    rule="memory.machine",
                    weight=weight,
                    claim=claim(f"{who} called the same alert {each.attributes['label']} before", each.id),
                )


@rule(id="memory.similar", version="1", title="Decision of an analyst on a similar alert")
def similar(view: TriageView) -> Iterator[Contribution]:
    """Lean towards what an analyst decided of an alert of the same detection that shares most of its entities.

    Looks for: `similar_case` findings decided by an analyst, the most alike one; silent where one of the same
    fingerprint is known, which says more.

    Why: a detection that fires on the next host for the same reason should not be explained twice. Yet another host
    is another host: whoever gets in by what was excused once must not be excused by it. So nothing is lowered where
    another command was run, where only what outsiders wrote is alike, or where an analyst found malice in an alert
    that is alike as well.

    Weights: -14 benign, +14 malicious, +6 suspicious, times how alike they are (0.5 to 1); full for 90 days, half up
    to a year, a tenth after that. It never closes: it lowers as much as the strongest detection raises, no more.

    Refuted by: a decision on the same fingerprint.
    """
    if any(each.attributes.get("label") in _ANALYST for each in view.found("past_verdict", decided_by="analyst")):
        return
    decisions = sorted(
        (-_share(each.attributes.get("similarity", "")), _age(each.attributes.get("age_days", "")), each.id, each)
        for each in view.found("similar_case", decided_by="analyst")
        if each.attributes.get("label") in _ALIKE
    )
    is_doubtful = any(_ALIKE[each.attributes["label"]] > 0 for *_, each in decisions)
    for unlike, age, _, each in decisions[:1]:
        label = each.attributes["label"]
        share = 1.0 if age <= _FRESH_DAYS else 0.5 if age <= _STALE_DAYS else 0.1
        alike = -unlike if _ALIKE[label] > 0 else min(-unlike, _share(each.attributes.get("excuses", "")))
        weight = _ALIKE[label] * share * alike
        if weight > 0 or (is_lowerable(each) and alike >= _LIKE and not is_doubtful):
            yield Contribution(
                rule="memory.similar",
                weight=round(weight, 1),
                claim=claim(f"An analyst called a similar alert {label}, {_when(age)}", each.id),
            )


def _is_of_another_command(view: TriageView) -> bool:
    """Tell whether memory knows what was excused, and that it was not what was run now."""
    excused = [
        each for each in view.found("similar_case", decided_by="analyst") if each.attributes.get("label") == "benign"
    ]
    return bool(excused) and all(_share(each.attributes.get("excuses", "")) < _LIKE for each in excused)


def _when(age: float) -> str:
    days = int(age)
    return "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"


def _share(text: str) -> float:
    """Return a share between 0 and 1; one that cannot be read is 0."""
    try:
        share = float(text)
    except ValueError:
        return 0.0
    return min(1.0, max(0.0, share)) if share == share else 0.0  # noqa: PLR0124 - not a number is no share


def _age(text: str) -> float:
    """Return the age in days; one that cannot be read counts as stale."""
    try:
        age = float(text)
    except ValueError:
        return _UNKNOWN_DAYS
    return age if 0.0 <= age < _UNKNOWN_DAYS else 0.0 if age < 0.0 else _UNKNOWN_DAYS
