"""Elastic alerts: documents of the detection engine, of Elastic Defend, and of any source that ECS calls an alert.

Read are `kibana.alert.*` (8.x and later) and `signal.*` (7.x), both nested, flattened or mixed, bare or as a search
hit (`_source`, or `fields` with a list for each value). An alert needs the name of a rule; an alert of ECS without
one needs `message`. ECS documents that are no alerts are context, and so are alerts of observability rules.

The rule is `kibana.alert.rule.rule_id`, which is the same in all spaces; where a rule only passes on what another
product detected (it takes its name from the event), the event's own rule, else its code, follows.

Severity: the word of the rule. Without one the risk score, on the bands of Elastic's manual: to 21 low, to 47
medium, to 73 high, above critical. `event.severity` is on that scale in alerts of Elastic Defend, and where it is
one of its four values; of other sources it says nothing that can be compared, and without a risk score they are
medium. Suricata's (1 to 3, 1 is highest) is known.

Who wrote what (`A` = attacker_writable, `S` = sensor, `I` = identity_server, `H` = human):

| part of the document | fields | |
|---|---|---|
| rule: name, description, severity, risk score, techniques | rule.*, event.severity, threat.*, … | S |
| a name that the rule takes from the event, unless Elastic Defend wrote the event | rule.name | A |
| why an analyst closed it | event.classification | H |
| `message`, `event.original`, `kibana.alert.reason`: quote the event | message, event.original, event.reason | A |
| addresses, ports, paths of programs, hashes, ids, registry keys, host | source.*, process.executable, … | S |
| names, command lines, files, URLs, domains, user agents, mail, scripts, containers | process.*, file.*, … | A |
| users in records of an identity provider or cloud | user.* | I |
| users whom Elastic Defend saw, or who have an id | user.* | S |
| users of a failed authentication, and all others | user.* | A |
"""

from __future__ import annotations

from typing import Any

from aurora.ingest.formats import _elastic_fields as fields
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._microsoft import user_name
from aurora.ingest.formats._tree import Reader, unwrapped
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, Severity

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE
_I = Provenance.IDENTITY_SERVER

_FLAT = frozenset(
    {
        "kibana.alert.rule.name",
        "kibana.alert.rule.rule_id",
        "kibana.alert.rule.uuid",
        "kibana.alert.uuid",
        "signal.rule.id",
        "signal.rule.name",
    }
)
_KINDS = frozenset({"alert", "asset", "enrichment", "event", "metric", "pipeline_error", "signal", "state"})
"""What ECS allows in `event.kind`."""
_ALERTING = frozenset({"alert", "signal"})
_OBSERVABILITY = frozenset({"apm", "infrastructure", "logs", "metrics", "monitoring", "observability", "slo", "uptime"})
"""Kibana's producers of alerts about capacity and errors, not about security."""
_WINDOWS = frozenset({"winlog", "winlog.channel", "winlog.event_id"})
"""What Windows events have that a Beat shipped: they are read by the format `windows`, except in lists of `fields`."""
_LISTS = "/fields"
_IDENTITY = frozenset(
    {"auth0", "aws", "azure", "entityanalytics_ad", "gcp", "github", "google_workspace", "o365", "okta"}
)
"""Modules whose records an identity provider or a cloud writes."""
_WORDS = {
    "info": Severity.INFO,
    "informational": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
_DEFAULTS = frozenset({21.0, 47.0, 73.0, 99.0})
"""The risk scores that Elastic gives its four severities."""
_SURICATA = {"1": Severity.HIGH, "2": Severity.MEDIUM, "3": Severity.LOW}
_NOBODY = "S-1-0-0"
"""The SID that Windows writes for a user that there may not be."""


class Elastic:
    """Reads alerts of Elastic Security and Elastic Defend, and knows ECS documents that are none."""

    id = "elastic"
    title = "Elastic Security (ECS)"

    def matches(self, document: Document) -> bool:
        """Tell by the keys of Kibana's alerts, or by a moment beside ECS's version or kind of event."""
        inner, path = unwrapped(document)
        if _is_kibana(inner):
            return True
        if "@timestamp" not in inner or (path != _LISTS and not _WINDOWS.isdisjoint(inner)):
            return False
        return _text(inner, "event", "kind") in _KINDS or bool(_text(inner, "ecs", "version"))

    def context(self, document: Document) -> str | None:
        """Return the producer of an alert that is not about security, and the kind of an event that is no alert."""
        inner, _ = unwrapped(document)
        if _is_kibana(inner):
            producer = _producer(inner)
            return producer if producer in _OBSERVABILITY else None
        kind = _text(inner, "event", "kind")
        return None if kind in _ALERTING else kind if kind in _KINDS else "event"

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: it names no rule, nor has a message.
        """
        inner, path = unwrapped(document)
        draft = Draft()
        reader = Reader(draft)
        reader.read(fields.DOCUMENT, inner, path)
        _terms(reader, inner, path)
        _arguments(reader, inner, path)
        for name in ("alert.time", "@timestamp"):
            if name in reader.held:
                draft.moment(_number(reader.held[name][0]), reader.held[name][1])
        is_defend = reader.values.get("event.module") == "endpoint" or reader.values.get("agent.type") == "endpoint"
        title, rule = _rule(reader, is_defend=is_defend)
        severity = _severity(reader, is_defend=is_defend)
        _parties(reader, is_defend=is_defend)
        return draft.alert(
            id=id,
            title=title,
            severity=severity,
            source="elastic",
            format=self.id,
            product="Elastic Defend" if is_defend else "Elastic Security",
            rule=rule,
            description=reader.values.get("event.reason", ""),
        )


FORMAT = Elastic()


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _text(inner: Document, section: str, key: str) -> str:
    """Return a text of a section, nested or flattened, alone or first in a list; empty if there is none."""
    table = inner.get(section)
    value = table.get(key) if isinstance(table, dict) else None
    value = _first(inner.get(f"{section}.{key}") if value is None else value)
    return value if isinstance(value, str) else ""


def _is_kibana(inner: Document) -> bool:
    """Tell whether Kibana wrote the document."""
    if not _FLAT.isdisjoint(inner) or isinstance(inner.get("kibana.alert"), dict):
        return True
    kibana, signal = inner.get("kibana"), inner.get("signal")
    if isinstance(kibana, dict) and (isinstance(kibana.get("alert"), dict) or "alert.rule.name" in kibana):
        return True
    return isinstance(signal, dict) and (isinstance(signal.get("rule"), dict) or "rule.name" in signal)


def _producer(inner: Document) -> str:
    """Return which application of Kibana owns the rule."""
    flat = inner.get("kibana.alert.rule.producer")
    if flat is None:
        alert = inner.get("kibana.alert") or inner.get("kibana")
        alert = alert.get("alert", alert) if isinstance(alert, dict) else None
        rule = alert.get("rule") if isinstance(alert, dict) else None
        flat = rule.get("producer") if isinstance(rule, dict) else None
    found = _first(flat)
    return found if isinstance(found, str) else ""


def _number(text: str) -> object:
    """Return the text of a count of milliseconds as the number that it was."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 20 else text


def _rule(reader: Reader, *, is_defend: bool) -> tuple[str, str]:
    """Keep name and id of the rule; return title and rule.

    Raises:
        RecordRejected: there is no name.
    """
    override = reader.held_text("alert.override")
    inner = reader.held_text("rule.id", "rule.uuid", "rule.name")
    name = ""
    for held in ("alert.rule.name", "rule.name"):
        quotes = held == "alert.rule.name" and bool(override) and not is_defend
        name = reader.keep_held("rule.name", held, _A if quotes else _S).strip() or name
    title = reader.held_text("alert.rule.name").strip() or name or reader.values.get("message", "").strip()
    if not title:
        raise missing("kibana.alert.rule.name", hint="the name of the rule that fired, or a message of the source")
    outer = reader.held_text("alert.rule.rule_id", "alert.rule.uuid")
    for held in ("alert.rule.rule_id", "alert.rule.uuid", "rule.id"):
        if held in reader.held:
            reader.keep_held("rule.id", held, _S)
            break
    if not outer:
        return title, inner or reader.values.get("event.code", "") or title
    passed_on = (inner or reader.values.get("event.code", "")) if override else ""
    return title, f"{outer}/{passed_on}" if passed_on else outer


def _severity(reader: Reader, *, is_defend: bool) -> Severity:
    """Keep what the product says of the severity, and return it on Aurora's scale."""
    draft = reader.draft
    # What an alert says of itself may come from the event, and then wins over what its rule says.
    word = "alert.severity" if "alert.severity" in reader.held else "alert.rule.severity"
    stated = reader.keep_held("event.severity", word, _S)
    risk = reader.keep_held("event.risk_score", "alert.risk" if "alert.risk" in reader.held else "alert.rule.risk", _S)
    if not stated:
        own = reader.keep_held("event.severity", "event.severity", _S)
        stated = own if own.strip().lower() in _WORDS else ""
        if not risk and own and not stated:
            if reader.values.get("event.module") == "suricata" and own in _SURICATA:
                return _SURICATA[own]
            score = _score(own)
            risk = own if is_defend or score in _DEFAULTS else ""
        risk = risk or reader.keep_held("event.risk_score", "event.risk_score", _S)
    if stated.strip().lower() in _WORDS:
        return _WORDS[stated.strip().lower()]
    if stated:
        draft.unread(reader.held[word][1])
    score = _score(risk)
    if score is None:
        return Severity.MEDIUM
    for highest, severity in ((21.0, Severity.LOW), (47.0, Severity.MEDIUM), (73.0, Severity.HIGH)):
        if score <= highest:
            return severity
    return Severity.CRITICAL


def _score(text: str) -> float | None:
    """Return a risk score between 0 and 100."""
    try:
        score = float(text)
    except ValueError:
        return None
    return score if 0.0 <= score <= 100.0 else None


def _parties(reader: Reader, *, is_defend: bool) -> None:
    """Note host and user."""
    draft, values = reader.draft, reader.values
    # The agent that collected records of a service took no part in them; that of Defend runs on the host.
    host = reader.keep_held(
        "host.name", "agent.name" if is_defend and "host.name" not in reader.held else "host.name", _S
    )
    host = host or values.get("host.hostname", "")
    draft.entity(EntityType.HOST, host.strip().rstrip(".").lower(), _S)
    number = reader.held_text("user.id")
    has_failed = values.get("event.outcome") == "failure" and any(
        each.name == "event.category" and str.__str__(each.value) == "authentication" for each in draft.fields
    )
    if has_failed:
        provenance = _A
    elif values.get("event.module") in _IDENTITY:
        provenance = _I
    else:
        provenance = _S if is_defend or (number and number != _NOBODY) else _A
    name = reader.keep_held("user.name", "user.name", provenance)
    domain = reader.keep_held("user.domain", "user.domain", provenance)
    mail = reader.keep_held("user.email", "user.email", provenance)
    reader.keep_held("user.id", "user.id", provenance)
    whole = user_name(upn=mail, name=name, suffix="", domain=domain)
    draft.entity(EntityType.USER, whole.strip(), provenance)


def _arguments(reader: Reader, inner: Document, path: str) -> None:
    """Keep the words of a command line where the line itself is not told."""
    table = inner.get("process")
    words = table.get("args") if isinstance(table, dict) else None
    where = f"{path}/process/args"
    if words is None:
        words, where = inner.get("process.args"), f"{path}/process.args"
    if isinstance(words, list) and "process.command_line" not in reader.values:
        reader.keep("process.args", " ".join(word for word in words[:256] if isinstance(word, str)), _A, where)


def _terms(reader: Reader, inner: Document, path: str) -> None:
    """Read what the events of a threshold rule had in common, unless the document itself says it."""
    where, found = f"{path}/kibana.alert.threshold_result", inner.get("kibana.alert.threshold_result")
    for outer, key in (("kibana", "alert"), ("signal", "")):
        table = inner.get(outer)
        table = table.get(key) if key and isinstance(table, dict) else table
        if found is None and isinstance(table, dict):
            found, where = table.get("threshold_result"), f"{path}/{outer}{f'/{key}' if key else ''}/threshold_result"
    terms = found.get("terms") if isinstance(found, dict) else None
    for number, term in enumerate(terms[:16] if isinstance(terms, list) else []):
        name = term.get("field") if isinstance(term, dict) else None
        if isinstance(name, str) and isinstance(fields.DOCUMENT.get(name), tuple) and name not in reader.values:
            reader.read({"value": fields.DOCUMENT[name]}, {"value": term.get("value")}, f"{where}/terms/{number}")
