"""Microsoft Graph Security alerts (v2), one object an alert as `/security/alerts_v2` lists them in `value`.

An alert needs `title`. Its time is `firstActivityDateTime`, else `createdDateTime`. `incidentId` is never
read. Provenance as in the table of `microsoft`: what the EDR recorded is sensor, directory facts are
identity_server, and what whoever caused the event chose (command lines, file paths, URLs, senders and
subjects, user agents, `description`, which quotes them) is attacker_writable; `classification` and
`determination` are an analyst's. Entities as in `microsoft` too, so that both spellings of an alert agree.

| evidence | fields |
|---|---|
| device | host.name, host.os.family, host.risk.level, host.ip |
| user, mailbox | user.name, user.id; email.mailbox |
| process | process.executable, process.command_line, process.parent.executable, file.hash.* |
| file | file.path, file.hash.* |
| ip, url, dns | source.ip, destination.ip, related.ip; url.full; dns.question.name |
| analyzedMessage | email.*, url.full, source.ip |
| registryKey, registryValue | registry.path, registry.value, registry.data.strings |
| cloudApplication, oauthApplication, azureResource | cloud.service.name, cloud.resource.id |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from aurora.ingest.formats import _microsoft as common
from aurora.ingest.formats._draft import Draft, missing
from aurora.ingest.formats._microsoft import ANALYST, DIRECTORY, SENSOR, SOURCE, WRITABLE
from aurora.ingest.formats.base import Document, pointer
from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert, EntityType, ObservableType

_COMPANIONS = frozenset({"serviceSource", "detectionSource", "providerAlertId", "detectorId", "alertWebUrl"})
_ALERT_TYPE = "#microsoft.graph.security.alert"
_EVIDENCE_TYPE = "#microsoft.graph.security."
_ROWS = (
    ("category", "rule.category", SENSOR),
    ("status", "event.status", SENSOR),
    ("classification", "event.classification", ANALYST),
    ("determination", "event.determination", ANALYST),
    ("threatDisplayName", "threat.software.name", SENSOR),
    ("threatFamilyName", "threat.software.family", SENSOR),
    ("actorDisplayName", "threat.group.name", SENSOR),
    ("detectionSource", "event.provider", SENSOR),
)
_ACTIONS = {
    "blocked": "blocked",
    "prevented": "blocked",
    "remediated": "blocked",
    "active": "allowed",
    "detected": "allowed",
}
_UNTOLD = frozenset({"unknown", "unknownFutureValue", "none"})


class MicrosoftGraph:
    """Reads alerts as the Graph Security API returns them."""

    id = "microsoft_graph"
    title = "Microsoft Graph Security (alerts v2)"

    def matches(self, document: Document) -> bool:
        """Tell by the type annotation, or by camel-case keys that only this API has."""
        if document.get("@odata.type") == _ALERT_TYPE:
            return True
        return "title" in document and "createdDateTime" in document and not _COMPANIONS.isdisjoint(document)

    def context(self, document: Document) -> str | None:
        """Return `None`: the API returns alerts only."""
        return None

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert; see the table of this module.

        Raises:
            RecordRejected: it has no title, or a `severity` that Microsoft does not use.
        """
        draft = Draft()
        for key in ("firstActivityDateTime", "createdDateTime"):
            draft.moment(document.get(key), f"/{key}")
        product = draft.text(document.get("productName"), "/productName") or draft.text(
            document.get("serviceSource"), "/serviceSource"
        )
        writable = document.get("serviceSource") == "microsoftSentinel"
        title = draft.take(document, "title", "rule.name", WRITABLE if writable else SENSOR, "/title")
        if not title.strip():
            raise missing("title", hint="the name of the alert")
        severity = common.severity_of(
            draft.take(document, "severity", "event.severity", SENSOR, "/severity"), field="severity"
        )
        rule = common.rule_id(
            draft.text(document.get("detectorId"), "/detectorId"),
            "",
            draft.text(document.get("serviceSource"), "/serviceSource"),
            title,
        )
        draft.keep("rule.id", rule, SENSOR, "/detectorId" if document.get("detectorId") else "/title")
        description = draft.take(document, "description", "event.reason", WRITABLE, "/description")
        for key, name, provenance in _ROWS:
            value = document.get(key)
            if value is not None and not (isinstance(value, str) and value in _UNTOLD):
                draft.keep(name, value, provenance, f"/{key}")
        common.tell_tactics(draft, [draft.text(document.get("category"), "/category")], "/category")
        draft.techniques(draft.items(document, "mitreTechniques", "/mitreTechniques"), SENSOR, "/mitreTechniques")
        evidence = _Evidence(draft)
        for number, each in enumerate(draft.items(document, "evidence", "/evidence")):
            evidence.tell(each, pointer("evidence", number))
        named = product if product.lower().startswith("microsoft") else f"Microsoft {product}"
        return draft.alert(
            id=id,
            title=title,
            severity=severity,
            source=SOURCE,
            format=self.id,
            product=named.strip(),
            rule=rule,
            description=description,
        )


FORMAT = MicrosoftGraph()


class _Evidence:
    """Tells a draft what one piece of evidence after the other says."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def tell(self, evidence: Any, path: str) -> None:
        """Note one piece; one of an unknown kind is noted as unread."""
        kind = evidence.get("@odata.type") if isinstance(evidence, dict) else None
        tell = self._TELLERS.get(kind.removeprefix(_EVIDENCE_TYPE)) if isinstance(kind, str) else None
        if tell is None:
            self._draft.unread(path)
            return
        roles = self._draft.items(evidence, "roles", f"{path}/roles")
        role = common.role_of(self._draft, roles, f"{path}/roles")
        tell(self, evidence, path, "" if role in _UNTOLD else role)
        common.tell_verdict(self._draft, evidence.get("verdict"), f"{path}/verdict")
        for key in ("remediationStatus", "detectionStatus"):
            action = _ACTIONS.get(self._draft.text(evidence.get(key), f"{path}/{key}"), "")
            self._draft.keep("event.action", action, SENSOR, f"{path}/{key}")

    def _text(self, table: Document, key: str, path: str) -> str:
        return self._draft.text(table.get(key), f"{path}/{key}").strip()

    def _device(self, device: Document, path: str, role: str) -> None:
        key = "deviceDnsName" if device.get("deviceDnsName") else "hostName"
        name = common.host_name(self._text(device, key, path), "", "")
        self._draft.keep("host.name", name, SENSOR, f"{path}/{key}")
        self._draft.entity(EntityType.HOST, name, SENSOR, role=role)
        self._draft.take(device, "osPlatform", "host.os.family", SENSOR, f"{path}/osPlatform")
        self._draft.take(device, "riskScore", "host.risk.level", SENSOR, f"{path}/riskScore")
        for key in ("lastIpAddress", "lastExternalIpAddress"):
            self._draft.take(device, key, "host.ip", SENSOR, f"{path}/{key}")

    def _user(self, evidence: Document, path: str, role: str) -> None:
        self._account(self._draft.table(evidence, "userAccount", f"{path}/userAccount"), f"{path}/userAccount", role)

    def _account(self, account: Document, path: str, role: str) -> None:
        upn, sid = self._text(account, "userPrincipalName", path), self._text(account, "userSid", path)
        name = common.user_name(
            upn=upn,
            name=self._text(account, "accountName", path),
            suffix="",
            domain=self._text(account, "domainName", path),
        )
        number = "userSid" if sid else "azureAdUserId"
        common.tell_user(
            self._draft,
            name,
            self._text(account, number, path),
            role=role,
            named=f"{path}/{'userPrincipalName' if upn else 'accountName'}",
            numbered=f"{path}/{number}",
        )

    def _mailbox(self, mailbox: Document, path: str, role: str) -> None:
        address = self._draft.take(mailbox, "primaryAddress", "email.mailbox", DIRECTORY, f"{path}/primaryAddress")
        common.tell_mail(self._draft, address, role=role)

    def _process(self, process: Document, path: str, role: str) -> None:
        image = self._draft.table(process, "imageFile", f"{path}/imageFile")
        executable = self._draft.keep(
            "process.executable", self._path(image, f"{path}/imageFile"), SENSOR, f"{path}/imageFile/fileName"
        )
        self._draft.entity(EntityType.PROCESS, common.same_path(executable), SENSOR, role=role)
        self._draft.take(process, "processCommandLine", "process.command_line", WRITABLE, f"{path}/processCommandLine")
        self._hashes(image, f"{path}/imageFile")
        parent = self._draft.table(process, "parentProcessImageFile", f"{path}/parentProcessImageFile")
        self._draft.keep(
            "process.parent.executable",
            self._path(parent, f"{path}/parentProcessImageFile"),
            SENSOR,
            f"{path}/parentProcessImageFile/fileName",
        )
        if isinstance(process.get("userAccount"), dict):
            self._account(process["userAccount"], f"{path}/userAccount", "")

    def _file(self, file: Document, path: str, role: str) -> None:
        details = self._draft.table(file, "fileDetails", f"{path}/fileDetails")
        common.tell_file(
            self._draft, self._path(details, f"{path}/fileDetails"), role=role, pointer=f"{path}/fileDetails/fileName"
        )
        self._hashes(details, f"{path}/fileDetails")

    def _path(self, details: Document, path: str) -> str:
        return common.full_path(self._text(details, "filePath", path), self._text(details, "fileName", path))

    def _hashes(self, details: Document, path: str) -> None:
        for algorithm in ("sha256", "sha1", "md5"):
            if details.get(algorithm):
                common.tell_hash(self._draft, algorithm, details[algorithm], pointer=f"{path}/{algorithm}")

    def _ip(self, address: Document, path: str, role: str) -> None:
        common.tell_address(self._draft, address.get("ipAddress"), SENSOR, role=role, pointer=f"{path}/ipAddress")
        self._draft.take(
            address, "countryLetterCode", "source.geo.country_iso_code", SENSOR, f"{path}/countryLetterCode"
        )

    def _url(self, url: Document, path: str, role: str) -> None:
        text = self._draft.take(url, "url", "url.full", WRITABLE, f"{path}/url")
        self._draft.observable(ObservableType.URL, text, WRITABLE)

    def _dns(self, dns: Document, path: str, role: str) -> None:
        name = self._draft.take(dns, "domainName", "dns.question.name", WRITABLE, f"{path}/domainName")
        self._draft.peer(name, WRITABLE)

    def _message(self, mail: Document, path: str, role: str) -> None:
        for key, name in (("p2Sender", "email.from.address"), ("p1Sender", "email.sender.address")):
            sender = self._draft.table(mail, key, f"{path}/{key}")
            address = self._draft.take(sender, "emailAddress", name, WRITABLE, f"{path}/{key}/emailAddress")
            self._draft.observable(ObservableType.EMAIL, address, WRITABLE)
        path_to = f"{path}/recipientEmailAddress"
        common.tell_mail(
            self._draft,
            self._draft.take(mail, "recipientEmailAddress", "email.to.address", SENSOR, path_to),
            role="recipient",
        )
        self._draft.take(mail, "subject", "email.subject", WRITABLE, f"{path}/subject")
        common.tell_address(self._draft, mail.get("senderIp"), SENSOR, role="source", pointer=f"{path}/senderIp")
        for number, url in enumerate(self._draft.items(mail, "urls", f"{path}/urls")):
            text = self._draft.keep("url.full", url, WRITABLE, f"{path}/urls/{number}")
            self._draft.observable(ObservableType.URL, text, WRITABLE)

    def _registry(self, key: Document, path: str, role: str) -> None:
        hive, rest = self._text(key, "registryHive", path), self._text(key, "registryKey", path)
        whole = f"{hive}\\{rest}" if hive and rest and not rest.upper().startswith(hive.upper()) else rest
        self._draft.keep("registry.path", whole, SENSOR, f"{path}/registryKey")
        self._draft.observable(ObservableType.REGISTRY_KEY, whole, SENSOR)
        self._draft.take(key, "registryValueName", "registry.value", WRITABLE, f"{path}/registryValueName")
        self._draft.take(key, "registryValue", "registry.data.strings", WRITABLE, f"{path}/registryValue")

    def _application(self, application: Document, path: str, role: str) -> None:
        name = self._draft.take(application, "displayName", "cloud.service.name", SENSOR, f"{path}/displayName")
        self._draft.entity(EntityType.APPLICATION, name.strip().lower(), SENSOR, role=role)

    def _resource(self, resource: Document, path: str, role: str) -> None:
        whole = self._draft.take(resource, "resourceId", "cloud.resource.id", SENSOR, f"{path}/resourceId").lower()
        _, machine, name = whole.rpartition("/virtualmachines/")
        if machine and "/" not in name:
            self._draft.entity(EntityType.HOST, name, SENSOR, role=role)
        else:
            self._draft.entity(EntityType.APPLICATION, whole, SENSOR, role=role)

    def _container(self, evidence: Document, path: str, role: str) -> None:
        """Tell nothing of its own: a cluster of messages, a group."""

    _TELLERS: ClassVar[dict[str, Callable[[_Evidence, Document, str, str], None]]] = {
        "deviceEvidence": _device,
        "userEvidence": _user,
        "mailboxEvidence": _mailbox,
        "processEvidence": _process,
        "fileEvidence": _file,
        "ipEvidence": _ip,
        "urlEvidence": _url,
        "dnsEvidence": _dns,
        "analyzedMessageEvidence": _message,
        "registryKeyEvidence": _registry,
        "registryValueEvidence": _registry,
        "cloudApplicationEvidence": _application,
        "oauthApplicationEvidence": _application,
        "azureResourceEvidence": _resource,
        "mailClusterEvidence": _container,
        "securityGroupEvidence": _container,
    }
