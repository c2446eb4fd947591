"""OCSF, the Open Cybersecurity Schema Framework: findings of versions 1.0 to 1.7.

A Detection Finding (class 2004), or the Security Finding (2001) that came before it, is an alert; all other
classes are context. An alert needs a title: `finding_info.title` (`finding.title`), else the name of its analytic
or the first of its types. The rule is the id of the analytic, else the type and title of the finding.
Producers differ: numbers may be text (tables of Security Lake), objects may be missing or empty, and attributes
of profiles stand beside those of the class. `unmapped` is not read: nobody says what is in it.

Who wrote what (`A` = attacker_writable, `S` = sensor, `D` = identity_server):

| part of the record | fields | |
|---|---|---|
| `metadata`, `finding_info.analytic`, `types`, `severity`, `status`, `disposition`, scores | rule.*, event.* | S |
| `finding_info.title`, `desc`, `message`: of the product's author, quoting the event | rule.name, message | S, A |
| addresses, ports, devices, resources, cloud account | source.*, destination.*, host.*, resource.*, cloud.* | S |
| executables and hashes, which an agent read | process.executable, *.hash.* | S |
| command lines, names of files and processes, URLs, names of DNS, user agents, mail | process.*, file.*, … | A |
| users with an id of a directory | user.* | D |
| users without | user.* | A |
| `verdict` of an incident: nobody proves that a person said it | event.classification | S |

A finding that Aurora itself exported does not count its own verdict twice: that becomes `aurora.verdict`.
"""

from __future__ import annotations

import re
from typing import Final

from aurora.ingest.formats import _ocsf
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._microsoft import same_path
from aurora.ingest.formats._ocsf_artifacts import Artifacts
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, ObservableType, Severity

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE

_MARKERS: Final = frozenset({"activity_id", "category_uid", "finding", "finding_info", "metadata", "type_uid"})
_TOP: Final = (
    ("activity_name", "event.type", _S, "/activity_name"),
    ("message", "message", _A, "/message"),
    ("confidence_score", "event.confidence", _S, "/confidence_score"),
    ("confidence", "rule.confidence", _S, "/confidence"),
    ("risk_score", "event.risk_score", _S, "/risk_score"),
    ("risk_level", "event.risk_level", _S, "/risk_level"),
    ("impact", "event.impact", _S, "/impact"),
    ("is_alert", "event.is_alert", _S, "/is_alert"),
    ("count", "event.count", _S, "/count"),
    ("status_detail", "event.reason", _A, "/status_detail"),
)
_TIMES: Final = (("", "time"), ("", "time_dt"), ("", "start_time"), ("finding", "created_time"))
_STATES: Final = (
    ("status", "event.status", _ocsf.STATUSES),
    ("state", "event.status", _ocsf.STATUSES),
    ("disposition", "event.action", _ocsf.DISPOSITIONS),
    ("action", "event.outcome", _ocsf.ACTIONS),
    ("verdict", "event.classification", _ocsf.VERDICTS),
)
_PRODUCT_WORD: Final = re.compile(r"[^a-z0-9]+")


class Ocsf:
    """Reads findings of any producer: AWS Security Hub and Security Lake, and products that write OCSF themselves."""

    id = "ocsf"
    title = "OCSF (Detection Finding, Security Finding)"

    def matches(self, document: Document) -> bool:
        """Tell by the id of a class beside another attribute that every event of OCSF has."""
        return _ocsf.number(document.get("class_uid")) is not None and not _MARKERS.isdisjoint(document)

    def context(self, document: Document) -> str | None:
        """Return the kind of event unless it is a finding of a detection."""
        if _ocsf.number(document.get("class_uid")) in _ocsf.FINDINGS:
            return None
        return _ocsf.kind_of(document)

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: there is no `finding_info` (`finding` in class 2001), or nothing that names the finding.
        """
        key = "finding_info" if "finding_info" in document or "finding" not in document else "finding"
        finding = document.get(key)
        if not isinstance(finding, dict):
            raise missing(key, hint="a finding of OCSF carries an object of that name")
        draft = Draft()
        artifacts = Artifacts(draft)
        analytic_path = f"/{key}/analytic" if "analytic" in finding else "/analytic"
        analytic = draft.table(finding if "analytic" in finding else document, "analytic", analytic_path)
        title = artifacts.take(finding, "title", "rule.name", _S, f"/{key}").strip()
        types = [draft.text(each, f"/{key}/types") for each in draft.items(finding, "types", f"/{key}/types")]
        named = artifacts.take(analytic, "name", "rule.analytic", _S, analytic_path).strip()
        title = title or named or next(filter(None, types), "")
        if not title:
            raise missing(f"{key}.title", hint="the finding has no title, no analytic and no type either")
        number = artifacts.take(analytic, "uid", "rule.id", _S, analytic_path).strip()
        for place, each in enumerate(types):
            where = f"/{key}/types/{place}" if isinstance(finding.get("types"), list) else f"/{key}/types"
            artifacts.keep("rule.category", each, _S, where)
        self._times(draft, document, finding, key)
        product, source, ours = _product(artifacts, draft, document, finding, key)
        severity = _severity(artifacts, draft, document)
        _states(artifacts, draft, document, ours=ours)
        draft.take_all(document, _TOP)
        described = artifacts.take(finding, "desc", "event.detail", _A, f"/{key}")
        artifacts.take(finding, "uid", "event.id", _S, f"/{key}")
        _attacks(artifacts, draft, finding, f"/{key}")
        _attacks(artifacts, draft, document, "")
        for at, evidence in artifacts.objects(document, "evidences", ""):
            artifacts.read(evidence, at)
            artifacts.keep(
                "event.verdict", _ocsf.named(evidence, "verdict", _ocsf.VERDICTS), _S, _told(evidence, "verdict", at)
            )
        artifacts.read(document, "")
        _threats(artifacts, draft, document)
        _observables(artifacts, draft, document)
        return draft.alert(
            id=id,
            title=title,
            description=described,
            severity=severity,
            source=source,
            format=self.id,
            product=product,
            rule=number or _rule(types, named, title),
        )

    def _times(self, draft: Draft, document: Document, finding: Document, key: str) -> None:
        for holder, name in _TIMES:
            inside = finding if holder else document
            draft.moment(inside.get(name) or None, f"/{key}/{name}" if holder else f"/{name}")
        for name, field in (("first_seen_time", "event.start"), ("last_seen_time", "event.end")):
            draft.take(finding, name, field, _S, f"/{key}/{name}")


FORMAT = Ocsf()


def _told(table: Document, key: str, path: str) -> str:
    """Return where `_ocsf.named` found its word."""
    return f"{path}/{key}_id" if f"{key}_id" in table else f"{path}/{key}"


def _rule(types: list[str], named: str, title: str) -> str:
    """Return what stays the same in all findings of one detection, where no analytic has an id.

    Types as GuardDuty's (`Recon:EC2/PortProbe`) name a detection, and its titles name resources; types as those
    of Security Hub (`TTPs/Discovery`) name a sort of detections.
    """
    first = next(filter(None, types), "")
    if ":" in first:
        return first
    return "/".join(part for part in (first, named or title) if part)


def _product(
    artifacts: Artifacts, draft: Draft, document: Document, finding: Document, key: str
) -> tuple[str, str, bool]:
    """Return vendor and product, the family of the product, and whether it is Aurora that wrote the record."""
    metadata = draft.table(document, "metadata", "/metadata")
    artifacts.take(metadata, "version", "ocsf.version", _S, "/metadata")
    artifacts.take(metadata, "event_code", "event.code", _S, "/metadata")
    writer = draft.table(metadata, "product", "/metadata/product")
    ours = writer.get("name") == "Aurora" and writer.get("vendor_name") == "Aurora"
    table, path = writer, "/metadata/product"
    if inner := draft.table(finding, "product", f"/{key}/product"):
        table, path = inner, f"/{key}/product"
    vendor = artifacts.take(table, "vendor_name", "observer.vendor", _S, path)
    name = artifacts.take(table, "name", "observer.product", _S, path)
    artifacts.take(table, "version", "observer.version", _S, path)
    whole = name if vendor and name.lower().startswith(vendor.lower()) else f"{vendor} {name}".strip()
    family = _PRODUCT_WORD.sub("_", (vendor or name)[:100].lower()).strip("_")[:40]
    return whole, family or "ocsf", ours


def _severity(artifacts: Artifacts, draft: Draft, document: Document) -> Severity:
    artifacts.take(document, "severity", "event.severity", _S, "")
    told = document.get("severity_id")
    number = _ocsf.number(told)
    if number in _ocsf.SEVERITIES:
        return _ocsf.SEVERITIES[number]
    if told is not None and number not in {0, 99}:
        draft.unread("/severity_id")
    word = draft.text(document.get("severity"), "/severity").strip().lower()
    return _ocsf.SEVERITY_WORDS.get(word, Severity.MEDIUM)


def _states(artifacts: Artifacts, draft: Draft, document: Document, *, ours: bool) -> None:
    """Keep what became of the finding: its state, what a control did, what people concluded."""
    for key, name, names in _STATES:
        number, word = f"{key}_id", document.get(key)
        if word is None and number not in document:
            continue
        for part in (key, number):
            if isinstance(document.get(part), (dict, list)):
                draft.unread(f"/{part}")
        own = "aurora.verdict" if key == "verdict" and ours else name
        artifacts.keep(own, _ocsf.named(document, key, names), _S, _told(document, key, ""))


def _attacks(artifacts: Artifacts, draft: Draft, holder: Document, path: str) -> None:
    """Keep techniques and tactics; a sub-technique says more than its technique."""
    for at, attack in artifacts.objects(holder, "attacks", path):
        for key in ("sub_technique", "technique"):
            claimed = draft.table(attack, key, f"{at}/{key}")
            if claimed.get("uid"):
                draft.techniques([claimed["uid"]], _S, f"{at}/{key}/uid")
                break
        tactics = [(f"{at}/tactic", draft.table(attack, "tactic", f"{at}/tactic"))]
        for where, tactic in tactics + artifacts.objects(attack, "tactics", at):
            artifacts.take(tactic, "name", "threat.tactic.name", _S, where)


def _threats(artifacts: Artifacts, draft: Draft, document: Document) -> None:
    """Keep malware, vulnerabilities and the account of the cloud."""
    for at, malware in artifacts.objects(document, "malware", ""):
        artifacts.take(malware, "name", "threat.software.name", _S, at)
        artifacts.take(malware, "path", "file.path", _A, at)
        for each in draft.items(malware, "classifications", f"{at}/classifications"):
            artifacts.keep("threat.software.type", each, _S, f"{at}/classifications")
    for at, weakness in artifacts.objects(document, "vulnerabilities", ""):
        cve = draft.table(weakness, "cve", f"{at}/cve")
        found = draft.observable(ObservableType.CVE, draft.text(cve.get("uid"), f"{at}/cve/uid"), _S)
        if found is not None:
            artifacts.keep("vulnerability.id", found.value, _S, f"{at}/cve/uid")
    cloud = draft.table(document, "cloud", "/cloud")
    artifacts.take(cloud, "provider", "cloud.provider", _S, "/cloud")
    artifacts.take(cloud, "region", "cloud.region", _S, "/cloud")
    account = draft.table(cloud, "account", "/cloud/account")
    artifacts.take(account, "uid", "cloud.account.id", _S, "/cloud/account")


def _observables(artifacts: Artifacts, draft: Draft, document: Document) -> None:
    """Keep the values that the producer lists, each by its type; objects stand elsewhere in the record."""
    for at, each in artifacts.objects(document, "observables", ""):
        value = draft.text(each.get("value"), f"{at}/value").strip()
        kind = _ocsf.number(each.get("type_id")) or 0
        if not value:
            continue
        if kind in _ocsf.NAMED:
            name, provenance, entity = _ocsf.NAMED[kind]
            artifacts.keep(name, value, provenance, f"{at}/value")
            if entity is not None and not draft.has(entity):
                draft.entity(entity, value.lower() if entity is EntityType.USER else value, provenance)
            continue
        if kind not in _ocsf.OBSERVABLES:
            continue
        name, type_, provenance = _ocsf.OBSERVABLES[kind]
        if type_ is None:
            artifacts.digest({"value": value}, "related.hash", at)
            continue
        if type_ is ObservableType.URL and "://" not in value:
            value = f"http://{value}"
        if kind != 1 or "." in value:
            draft.observable(type_, same_path(value) if type_ is ObservableType.FILE_PATH else value, provenance)
        artifacts.keep(name, value, provenance, f"{at}/value")
