"""Makes reports whose every outside value is one text, and reads pages back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from aurora.knowledge.attack import Attack
from aurora.reports.page import render
from aurora.services.report import FileCount, Rejects, Report
from aurora.services.report_alert import full_document
from aurora.services.report_tally import Tally
from aurora.storage.repositories.alerts import Outcome

NOON = datetime(2026, 6, 16, 12, tzinfo=UTC)
ATTACK = Attack()
CASE = UUID(int=900)


class Page(HTMLParser):
    """What a browser makes of a page: its tags in order, its text, what could be loaded."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, Any]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(("/" + tag, []))
        if tag in {"td", "th", "dd", "dt", "li", "p", "h3"}:
            self.texts.append(" ")

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.tags.append(("declaration", decl))

    def unknown_decl(self, data: str) -> None:
        self.tags.append(("unknown declaration", data))

    def handle_pi(self, data: str) -> None:
        self.tags.append(("instruction", data))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all(self, name: str) -> list[str]:
        """Return the values of an attribute, wherever it stands."""
        return [value or "" for _, attrs in self.tags if isinstance(attrs, list) for key, value in attrs if key == name]


def page(report: Report) -> Page:
    return Page("".join(render(report)))


def evidence(number: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"f{number}",
        "kind": "field",
        "provenance": "attacker_writable",
        "text": f"process.command_line: {text}",
        "source": f"/{text}",
        "attributes": {"name": text, "value": text},
        **more,
    }


def outcome(number: int = 1, text: str = "harmless", *, label: str = "malicious", **more: Any) -> Outcome:
    """Return an alert in which everything that comes from outside is `text`."""
    verdict = {
        "label": label,
        "confidence": 0.9,
        "score": 21.5,
        "reason": text,
        "decided_by": "model",
        "decided_name": text,
        "degraded": True,
        "run_id": UUID(int=700 + number),
        "techniques": ["T1059.001"],
        "evidence": [
            evidence(1, text),
            {**evidence(2, text, id="e1"), "kind": "past_verdict", "provenance": "agent_derived"},
            evidence(3, text),
        ],
        "contributions": [
            {"rule": text, "weight": 12.0, "closes": False, "techniques": ["T1059.001"],
             "claim": {"text": text, "evidence": ["f1", "e1"]}},
            {"rule": "noise.test", "weight": -3.0, "closes": True, "techniques": [],
             "claim": {"text": text, "evidence": ["f1"]}},
        ],
        "dropped": [{"text": text, "reason": text}],
        "model": {"model": text, "prompt": text, "calls": 2, "input_tokens": 10, "output_tokens": 5,
                  "cost_usd": "0.01"},
        **more.pop("verdict", {}),
    }  # fmt: skip
    short = text[:2000].encode("utf-8", "replace").decode()  # no JSON has lone halves, and a long record is not read
    alert = {
        "id": UUID(int=number),
        "title": text,
        "description": text,
        "severity": "high",
        "status": "triaged",
        "source": text,
        "product": text,
        "format": "aurora",
        "rule": f"rule {text}",
        "event_time": NOON + timedelta(minutes=number),
        "first_seen": NOON,
        "last_seen": NOON + timedelta(hours=1),
        "count": 3,
        "case_id": CASE,
        "entities": [{"type": "host", "value": text}, {"type": "user", "value": text}],
        "iocs": [{"type": "url", "value": text}],
        "mitre_techniques": ["T1059.003"],
        "fields": [{"path": "/seen", "name": text, "value": text, "provenance": "sensor"}],
        "raw_log": json.dumps({"seen": 1, f"un{short}": short, "nested": json.dumps({f"in{short}": 1})}),
        **more,
    }
    return Outcome(record_id=alert["id"], file=text, line=7, alert=alert, verdict=verdict, event_time=NOON, run_id=None)


def line(one: Outcome) -> dict[str, Any]:
    """Return an alert as the repository returns it for counting."""
    verdict = one.verdict or {}
    names = ("label", "confidence", "score", "decided_by", "decided_name", "degraded", "dropped", "model")
    return {**one.alert, "file": one.file, "line": one.line} | {f"v_{name}": verdict.get(name) for name in names}


def report(*alerts: Outcome, text: str = "harmless", full: int = 100, **more: Any) -> Report:
    """Return a report of alerts, in which everything else from outside is `text`."""
    tally = Tally(keep=1000)
    for each in alerts:
        tally.add(line(each))
    tally.finish()
    by_id = {each.record_id: each for each in alerts}
    history = [
        {"created_at": NOON, "label": "benign", "confidence": 1.0, "decided_by": "analyst", "decided_name": text,
         "reason": text}
    ] * 2  # fmt: skip
    case = {"title": text}
    given = {
        "made_at": NOON,
        "version": "1.0",
        "scope": text,
        "counts": {"read": 6, "triaged": 3, "duplicate": 1, "context": 1, "rejected": 1},
        "files": [
            FileCount(text, [("aurora", 5)], {"triaged": 3, "duplicate": 1, "context": 1, "rejected": 0}),
            FileCount(text, [], {"triaged": 0, "duplicate": 0, "context": 0, "rejected": 1}),
        ],
        "files_left": 0,
        "context": {text: 1},
        "cases": [
            {"case_id": CASE, "title": text, "severity": "high", "status": "open",
             "techniques": [("T1059", "Command and Scripting Interpreter")],
             "alerts": list(tally.cases[CASE].alerts.items()), "total": tally.cases[CASE].alerts.total(),
             "first": NOON, "last": NOON}
        ] if CASE in tally.cases else [],
        "cases_left": 0,
        "rejects": Rejects(1, [{"file": text, "line": 3, "reason": "invalid_json", "message": text}]),
        "attack_version": ATTACK.version,
        "attack_notice": ATTACK.notice,
        "enrichers": ["domains 1"],
        "unread": [(text, 2)],
        **more,
    }  # fmt: skip
    return Report(
        tally=tally,
        full=[
            full_document(by_id[each.alert_id], history=history, case=case, attack=ATTACK)
            for each in tally.worst[:full]
        ],
        lines=tally.worst[full:],
        **given,
    )


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings(each)
