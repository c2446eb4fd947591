"""One alert as a report tells it in full: claims, the evidence they cite, and what was not checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from aurora.kernel.evidence import Provenance
from aurora.kernel.ports.knowledge import AttackKnowledge
from aurora.kernel.untrusted import clean
from aurora.services.outcomes import ANALYST_RULE, Document, has_failed, ranked
from aurora.services.recalled import recalled
from aurora.services.report_tally import who
from aurora.services.report_unread import unread
from aurora.storage.repositories.alerts import Outcome

LONGEST = 1200
"""Characters of one value; the command line shows all of it."""

LONGEST_TITLE, LONGEST_WHO = 160, 80
"""Characters, where an alert has one line."""

_CLAIMS, _EVIDENCE, _RECALLED, _VALUES, _UNREAD, _HISTORY = 40, 80, 12, 24, 40, 12
"""How many of each are listed; the others are counted."""

_KINDS = ("past_verdict", "related", "technique", "warning_list", "network", "domain", "software")
"""What Aurora itself looks for beside an alert's own fields."""

_TAGS = 200
"""Bytes of HTML around the values of one part, on average."""

_NUMBER = re.compile(r"/\d+(?=/|$)")


def cut(text: object, limit: int = LONGEST) -> str:
    """Return at most `limit` characters of a text, cleaned, and behind them, if it is longer, how long it is.

    Cut after cleaning, which writes six characters for one: what nobody can see must not fill a file.
    """
    line = "" if text is None else str.__str__(text) if isinstance(text, str) else str(text)
    if len(line) <= limit and line.isascii() and line.isprintable():
        return line  # nine of ten texts, at a fifth of the price
    shown = clean(line[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[:limit]}… [cut; {len(line):,} characters in all]"


def full_document(
    outcome: Outcome, *, history: Sequence[Mapping[str, Any]], case: Mapping[str, Any] | None, attack: AttackKnowledge
) -> Document:
    """Return an alert with all that a report tells of it. Texts are cleaned and cut, lists are cut.

    Args:
        outcome: The alert's own record, with its verdict.
        history: Its verdicts, the oldest first.
        case: Columns of its case.
        attack: Where techniques have their names from.
    """
    row, verdict = outcome.alert, outcome.verdict or {}
    evidence = list(verdict.get("evidence", ()))
    contributions = ranked(verdict.get("contributions", ()))
    cited = {each for one in contributions for each in one["claim"]["evidence"]}
    ordered = [each for each in evidence if each["id"] in cited] + [
        each for each in evidence if each["id"] not in cited
    ]
    places = {each["id"]: place for place, each in enumerate(ordered[:_EVIDENCE], start=1)}
    shown = [_evidence(each, places[each["id"]]) for each in ordered[:_EVIDENCE]]
    use = verdict.get("model")
    return {
        "alert_id": row["id"],
        "title": cut(row["title"]),
        "description": cut(row["description"]),
        "label": verdict.get("label") or "waiting",
        "confidence": verdict.get("confidence"),
        "score": verdict.get("score"),
        "reason": cut(verdict.get("reason")),
        "severity": row["severity"],
        "status": row["status"],
        "time": row["event_time"],
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "count": row["count"],
        "source": cut(row["source"], 200),
        "product": cut(row["product"], 200),
        "format": row["format"],
        "rule": cut(row["rule"], 300),
        "file": cut(outcome.file, 400),
        "line": outcome.line,
        "run_id": verdict.get("run_id") or outcome.run_id,
        "who": who(row["entities"]),
        "case_id": row["case_id"],
        "case_title": None if case is None else cut(case["title"], 200),
        "entities": _some([_pair(each) for each in row["entities"]], _VALUES),
        "observables": _some([_pair(each) for each in row["iocs"]], _VALUES),
        "decided_by": verdict.get("decided_by"),
        "decided_name": cut(verdict.get("decided_name"), 200),
        "degraded": bool(verdict.get("degraded")),
        "failed": has_failed(outcome.verdict),
        "model": _model(use) if isinstance(use, Mapping) else None,
        "claims": _some([_claim(each, places) for each in contributions], _CLAIMS),
        "cited": [each for each in shown if each["id"] in cited],
        "recalled": _some([_recalled(each, places) for each in recalled(evidence, contributions)], _RECALLED),
        "others": [each for each in shown if each["id"] not in cited],
        "evidence_left": len(ordered) - len(shown),
        "techniques": [_technique(each, attack) for each in verdict.get("techniques", ())][:_VALUES],
        "claimed": [_technique(each, attack) for each in row["mitre_techniques"]][:_VALUES],
        "history": [dict(each) | {"reason": cut(each["reason"], 400)} for each in history][-_HISTORY:],
        "dropped": _some(
            [
                {"text": cut(each["text"], 400), "reason": cut(each["reason"], 300)}
                for each in verdict.get("dropped", ())
            ],
            _VALUES,
        ),
        "nothing": [kind for kind in _KINDS if kind not in {each["kind"] for each in evidence}] if verdict else [],
        "unread": _unread(row),
    }


def general(place: str) -> str:
    """Return a place of a record without its numbers, so that the same place of other records is equal."""
    return _NUMBER.sub("/*", place)


def size(value: object) -> int:
    """Return about how many bytes of HTML a document, or a part of one, takes."""
    if isinstance(value, str):
        return len(escape(value).encode())
    if isinstance(value, Mapping):
        return _TAGS + sum(map(size, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(size, value))
    return 8


def _claim(each: Mapping[str, Any], places: Mapping[str, int]) -> Document:
    weight = float(each["weight"])
    return {
        "rule": cut(each["rule"], 100),
        "decides": each["rule"] == ANALYST_RULE,
        "weight": weight,
        "side": "for" if weight > 0 else "against" if weight < 0 else "none",
        "text": cut(each["claim"]["text"]),
        "closes": bool(each["closes"]),
        "techniques": list(each["techniques"])[:8],
        "cites": [(cited, places.get(cited)) for cited in each["claim"]["evidence"][:20]],
    }


def _evidence(each: Mapping[str, Any], place: int) -> Document:
    own = each["kind"] == "field"
    attributes = each.get("attributes") or {}
    return {
        "place": place,
        "id": each["id"],
        "kind": each["kind"],
        "name": cut(attributes.get("name"), 120) if own else "",
        "text": cut(attributes.get("value", each["text"]) if own else each["text"]),
        "provenance": each["provenance"],
        "trusted": each["provenance"] != Provenance.ATTACKER_WRITABLE,
        "source": cut(each.get("source"), 200),
    }


def _recalled(each: Mapping[str, Any], places: Mapping[str, int]) -> Document:
    return {
        **each,
        "place": places.get(each["id"]),
        "text": cut(each["text"], 600),
        "told_place": places.get(each["told_by"]),
        "gauges": _gauges(each),
        "cited_by": [{"rule": cut(one["rule"], 100), "weight": one["weight"]} for one in each["cited_by"][:8]],
    }


def _gauges(each: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Return name, share from 0 to 1 and value of what is drawn as a bar."""
    days = each["age_days"]
    drawn = [
        ("alike", each["similarity"], f"{each['similarity'] or 0:.0%}"),
        ("trust", each["trust_share"], str(each["trust"]).replace("_", " ")),
        ("fresh", each["freshness"], "today" if days == 0 else "1 day" if days == 1 else f"{days or 0:,} days"),
    ]
    return [(name, share, text) for name, share, text in drawn if share is not None]


def _technique(technique_id: str, attack: AttackKnowledge) -> Document:
    found = attack.technique(technique_id)
    return {
        "id": technique_id,
        "name": found.name if found else "not known to this ATT&CK",
        "tactics": ", ".join(tactic.name for tactic in attack.tactics_of(technique_id)),
    }


def _model(use: Mapping[str, Any]) -> Document:
    return {"name": cut(use.get("model") or use.get("name"), 200), "prompt": cut(use.get("prompt"), 200)} | {
        key: use.get(key) for key in ("calls", "input_tokens", "output_tokens", "cost_usd")
    }


def _unread(row: Mapping[str, Any]) -> Document:
    places = unread(row["raw_log"] or "", [each["path"] for each in row["fields"]])
    if places is None:
        return {"known": False, "count": 0, "places": []}
    names = list(dict.fromkeys(cut(general(place), 120) for place in places))
    return {"known": True, "count": len(places), "places": names[:_UNREAD]}


def _pair(each: Mapping[str, str]) -> Document:
    return {"type": each["type"], "value": cut(each["value"], 300)}


def _some(items: Iterable[Any], most: int) -> Document:
    listed = list(items)
    return {"shown": listed[:most], "left": max(0, len(listed) - most)}
