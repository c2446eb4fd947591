"""The entities of a SecurityAlert: a list of objects that refer to each other by `$id` and `$ref`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from aurora.ingest.formats import _microsoft as common
from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._microsoft import DIRECTORY, SENSOR, WRITABLE
from aurora.ingest.formats.base import Document
from aurora.kernel.models import EntityType, ObservableType

_MAX_OBJECTS: Final = 5_000
_MAX_DEPTH: Final = 8
"""Of parents of parents, hosts of mailboxes and the like; real alerts reach 4."""

_NESTED: Final = (
    "Account",
    "Host",
    "ParentProcess",
    "IpAddress",
    "SourceAddress",
    "DestinationAddress",
    "SourceHost",
    "DestinationHost",
    "Mailbox",
)
_NESTED_LISTS: Final = ("IpAddresses", "Files", "Processes", "MailMessages")
_NESTING: Final = frozenset((*_NESTED, *_NESTED_LISTS))
_INVENTORY: Final = ("LastIpAddress", "LastExternalIpAddress")


class Entities:
    """Tells a draft what a list of entities says. Each object is told once, however often it is referred to."""

    def __init__(self, draft: Draft, entities: list[Any], *, sign_in: bool) -> None:
        self._draft = draft
        self._entities = entities
        self._addresses = DIRECTORY if sign_in else SENSOR
        self._defined: dict[str, tuple[Document, str]] = {}
        self._told: set[int] = set()

    def tell(self) -> None:
        """Follow the list in its order."""
        self._index()
        for number, entity in enumerate(self._entities):
            self._entity(entity, f"/Entities/{number}", 0)

    def _index(self) -> None:
        """Find every definition, nested ones included. A stack, not recursion: the depth is the sender's choice."""
        stack: list[tuple[Any, str]] = [
            (entity, f"/Entities/{number}") for number, entity in reversed(list(enumerate(self._entities)))
        ]
        for _ in range(_MAX_OBJECTS):
            if not stack:
                return
            value, path = stack.pop()
            if isinstance(value, dict):
                name = value.get("$id")
                if isinstance(name, str) and "$ref" not in value:
                    self._defined.setdefault(name, (value, path))
                stack.extend(
                    (inner, f"{path}/{key}") for key, inner in value.items() if isinstance(inner, (dict, list))
                )
            elif isinstance(value, list):
                stack.extend(
                    (inner, f"{path}/{number}")
                    for number, inner in enumerate(value[:_MAX_OBJECTS])
                    if isinstance(inner, (dict, list))
                )
        self._draft.unread("/Entities")

    def _follow(self, value: object, path: str) -> tuple[Document, str] | None:
        """Return the object that `value` is or refers to, with the path of its definition."""
        if not isinstance(value, dict):
            if value is not None:
                self._draft.unread(path)
            return None
        reference = value.get("$ref")
        if reference is None:
            return value, path
        found = self._defined.get(reference) if isinstance(reference, str) else None
        if found is None:
            self._draft.unread(path)
        return found

    def _entity(self, value: object, path: str, depth: int) -> None:
        found = self._follow(value, path)
        if found is None or id(found[0]) in self._told:
            return
        entity, path = found
        if depth > _MAX_DEPTH:
            self._draft.unread(path)
            return
        self._told.add(id(entity))
        kind = entity.get("Type")
        tell = self._TELLERS.get(kind.lower().replace("-", "")) if isinstance(kind, str) else None
        if tell is None:
            self._draft.unread(path)
            return
        tell(self, entity, path)
        common.tell_verdict(self._draft, entity.get("LastVerdict"), f"{path}/LastVerdict")
        if not _NESTING.isdisjoint(entity):
            self._inner(entity, path, depth + 1)

    def _inner(self, entity: Document, path: str, depth: int) -> None:
        for key in _NESTED:
            if isinstance(entity.get(key), dict):
                self._entity(entity[key], f"{path}/{key}", depth)
        for key in _NESTED_LISTS:
            if isinstance(entity.get(key), list):
                for number, inner in enumerate(self._draft.items(entity, key, f"{path}/{key}")):
                    self._entity(inner, f"{path}/{key}/{number}", depth)

    def _role(self, entity: Document, path: str) -> str:
        return common.role_of(self._draft, self._draft.items(entity, "Roles", f"{path}/Roles"), f"{path}/Roles")

    def _text(self, entity: Document, key: str, path: str) -> str:
        return self._draft.text(entity.get(key), f"{path}/{key}").strip()

    def _host(self, host: Document, path: str) -> None:
        fqdn, name = (
            self._text(host, "FQDN", path),
            self._text(host, "HostName", path) or self._text(host, "NetBiosName", path),
        )
        full = common.host_name(fqdn, name, self._text(host, "DnsDomain", path))
        self._draft.keep("host.name", full, SENSOR, f"{path}/{'FQDN' if fqdn else 'HostName'}")
        self._draft.entity(EntityType.HOST, full, SENSOR, role=self._role(host, path))
        self._draft.take(host, "OSFamily", "host.os.family", SENSOR, f"{path}/OSFamily")
        self._draft.take(host, "RiskScore", "host.risk.level", SENSOR, f"{path}/RiskScore")
        for number, tag in enumerate(self._draft.items(host, "Tags", f"{path}/Tags")):
            if isinstance(tag, dict):
                self._draft.take(tag, "TagName", "host.tag", SENSOR, f"{path}/Tags/{number}/TagName")
        for key in _INVENTORY:
            if isinstance(host.get(key), dict):
                found = self._follow(host[key], f"{path}/{key}")
                if found is not None:
                    self._told.add(id(found[0]))
                    self._draft.take(found[0], "Address", "host.ip", SENSOR, f"{found[1]}/Address")
            else:
                self._draft.take(host, key, "host.ip", SENSOR, f"{path}/{key}")

    def _account(self, account: Document, path: str) -> None:
        upn, sid = self._text(account, "UserPrincipalName", path), self._text(account, "Sid", path)
        key = "AccountName" if account.get("AccountName") else "Name"
        name = common.user_name(
            upn=upn,
            name=self._text(account, key, path),
            suffix=self._text(account, "UPNSuffix", path) or self._text(account, "DnsDomain", path),
            domain=self._text(account, "NTDomain", path) or self._text(account, "DomainName", path),
        )
        number = "Sid" if sid else "AadUserId"
        common.tell_user(
            self._draft,
            name,
            self._text(account, number, path),
            role=self._role(account, path),
            named=f"{path}/{'UserPrincipalName' if upn else key}",
            numbered=f"{path}/{number}",
        )

    def _ip(self, address: Document, path: str) -> None:
        common.tell_address(
            self._draft,
            address.get("Address"),
            self._addresses,
            role=self._role(address, path),
            pointer=f"{path}/Address",
        )
        place = address.get("Location")
        if isinstance(place, dict):
            self._draft.take(
                place, "CountryCode", "source.geo.country_iso_code", self._addresses, f"{path}/Location/CountryCode"
            )

    def _process(self, process: Document, path: str) -> None:
        image = self._image(process, path, "process.executable")
        self._draft.entity(EntityType.PROCESS, common.same_path(image), SENSOR, role=self._role(process, path))
        self._draft.take(process, "CommandLine", "process.command_line", WRITABLE, f"{path}/CommandLine")
        parent = self._follow(process.get("ParentProcess"), f"{path}/ParentProcess")
        if parent is not None:
            self._image(*parent, "process.parent.executable")
            self._draft.take(
                parent[0], "CommandLine", "process.parent.command_line", WRITABLE, f"{parent[1]}/CommandLine"
            )

    def _image(self, process: Document, path: str, name: str) -> str:
        """Keep the path of a process' image, with its hashes where it is the process itself."""
        found = self._follow(process.get("ImageFile"), f"{path}/ImageFile")
        if found is None:
            return self._draft.take(process, "FriendlyName", name, SENSOR, f"{path}/FriendlyName")
        image, path = found
        executable = common.full_path(self._text(image, "Directory", path), self._text(image, "Name", path))
        executable = self._draft.keep(name, executable, SENSOR, f"{path}/Name")
        if id(image) not in self._told:
            self._told.add(id(image))
            self._hashes(image, path)
        return executable

    def _file(self, file: Document, path: str) -> None:
        whole = common.full_path(self._text(file, "Directory", path), self._text(file, "Name", path))
        common.tell_file(self._draft, whole, pointer=f"{path}/Name", role=self._role(file, path))
        self._hashes(file, path)

    def _hashes(self, file: Document, path: str) -> None:
        for number, value in enumerate(self._draft.items(file, "FileHashes", f"{path}/FileHashes")):
            found = self._follow(value, f"{path}/FileHashes/{number}")
            if found is not None and id(found[0]) not in self._told:
                self._told.add(id(found[0]))
                self._hash(*found)

    def _hash(self, value: Document, path: str) -> None:
        common.tell_hash(self._draft, self._text(value, "Algorithm", path), value.get("Value"), pointer=f"{path}/Value")

    def _url(self, url: Document, path: str) -> None:
        text = self._draft.take(url, "Url", "url.full", WRITABLE, f"{path}/Url")
        self._draft.observable(ObservableType.URL, text, WRITABLE)

    def _mailbox(self, mailbox: Document, path: str) -> None:
        address = self._text(mailbox, "MailboxPrimaryAddress", path) or self._text(mailbox, "Upn", path)
        self._draft.keep("email.mailbox", address, DIRECTORY, f"{path}/MailboxPrimaryAddress")
        common.tell_mail(self._draft, address, role=self._role(mailbox, path))

    def _message(self, mail: Document, path: str) -> None:
        sender = "P2Sender" if mail.get("P2Sender") else "Sender"
        address = self._draft.take(mail, sender, "email.from.address", WRITABLE, f"{path}/{sender}")
        self._draft.observable(ObservableType.EMAIL, address, WRITABLE)
        self._draft.take(mail, "P1Sender", "email.sender.address", WRITABLE, f"{path}/P1Sender")
        recipient = self._draft.take(mail, "Recipient", "email.to.address", SENSOR, f"{path}/Recipient")
        common.tell_mail(self._draft, recipient, role="recipient")
        self._draft.take(mail, "Subject", "email.subject", WRITABLE, f"{path}/Subject")
        common.tell_address(self._draft, mail.get("SenderIP"), SENSOR, role="source", pointer=f"{path}/SenderIP")
        for number, url in enumerate(self._draft.items(mail, "Urls", f"{path}/Urls")):
            text = self._draft.keep("url.full", url, WRITABLE, f"{path}/Urls/{number}")
            self._draft.observable(ObservableType.URL, text, WRITABLE)
        for number, threat in enumerate(self._draft.items(mail, "Threats", f"{path}/Threats")):
            self._draft.keep("email.threat", threat, SENSOR, f"{path}/Threats/{number}")
        delivery = self._text(mail, "DeliveryAction", path)
        if delivery.lower() != "unknown":
            action = {"blocked": "blocked", "replaced": "blocked"}.get(delivery.lower(), "allowed" if delivery else "")
            self._draft.keep("event.action", action, SENSOR, f"{path}/DeliveryAction")

    def _application(self, application: Document, path: str) -> None:
        name = self._draft.take(application, "Name", "cloud.service.name", SENSOR, f"{path}/Name")
        self._draft.entity(EntityType.APPLICATION, name.strip().lower(), SENSOR, role=self._role(application, path))

    def _session(self, session: Document, path: str) -> None:
        agent = self._draft.take(session, "UserAgent", "user_agent.original", WRITABLE, f"{path}/UserAgent")
        self._draft.observable(ObservableType.USER_AGENT, agent, WRITABLE)

    def _dns(self, dns: Document, path: str) -> None:
        name = self._draft.take(dns, "DomainName", "dns.question.name", WRITABLE, f"{path}/DomainName")
        self._draft.peer(name, WRITABLE)

    def _registry(self, key: Document, path: str) -> None:
        hive, rest = self._text(key, "Hive", path), self._text(key, "Key", path)
        whole = f"{hive}\\{rest}" if hive and rest else rest
        self._draft.keep("registry.path", whole, SENSOR, f"{path}/Key")
        self._draft.observable(ObservableType.REGISTRY_KEY, whole, SENSOR)

    def _registry_value(self, value: Document, path: str) -> None:
        if isinstance(value.get("Key"), dict):
            self._entity(value["Key"], f"{path}/Key", _MAX_DEPTH)
        self._draft.take(value, "Name", "registry.value", WRITABLE, f"{path}/Name")
        self._draft.take(value, "Value", "registry.data.strings", WRITABLE, f"{path}/Value")

    def _resource(self, resource: Document, path: str) -> None:
        """An Azure resource is an application, except that a virtual machine is a host."""
        whole = self._draft.take(resource, "ResourceId", "cloud.resource.id", SENSOR, f"{path}/ResourceId").lower()
        _, machine, name = whole.rpartition("/virtualmachines/")
        if machine and "/" not in name:
            self._draft.entity(EntityType.HOST, name, SENSOR, role=self._role(resource, path))
        else:
            self._draft.entity(EntityType.APPLICATION, whole, SENSOR, role=self._role(resource, path))

    def _malware(self, malware: Document, path: str) -> None:
        self._draft.take(malware, "Name", "threat.software.name", SENSOR, f"{path}/Name")
        self._draft.take(malware, "Category", "threat.software.type", SENSOR, f"{path}/Category")

    def _connection(self, connection: Document, path: str) -> None:
        self._draft.take(connection, "SourcePort", "source.port", SENSOR, f"{path}/SourcePort")
        self._draft.take(connection, "DestinationPort", "destination.port", SENSOR, f"{path}/DestinationPort")
        self._draft.take(connection, "Protocol", "network.transport", SENSOR, f"{path}/Protocol")
        for key, role in (("SourceAddress", "source"), ("DestinationAddress", "destination")):
            found = self._follow(connection.get(key), f"{path}/{key}")
            if found is not None and id(found[0]) not in self._told:
                self._told.add(id(found[0]))
                common.tell_address(
                    self._draft, found[0].get("Address"), SENSOR, role=role, pointer=f"{found[1]}/Address"
                )

    def _container(self, entity: Document, path: str) -> None:
        """Tell nothing of its own: a cluster of messages, a request, a group."""

    _TELLERS: ClassVar[dict[str, Callable[[Entities, Document, str], None]]] = {
        "host": _host,
        "account": _account,
        "ip": _ip,
        "process": _process,
        "file": _file,
        "filehash": _hash,
        "url": _url,
        "mailbox": _mailbox,
        "mailmessage": _message,
        "cloudapplication": _application,
        "oauthapplication": _application,
        "cloudlogonsession": _session,
        "hostlogonsession": _container,
        "cloudlogonrequest": _container,
        "mailcluster": _container,
        "securitygroup": _container,
        "dns": _dns,
        "registrykey": _registry,
        "registryvalue": _registry_value,
        "azureresource": _resource,
        "malware": _malware,
        "networkconnection": _connection,
    }
