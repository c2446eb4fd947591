"""The objects of OCSF that say who and what took part: endpoints, processes, users, files, resources and more.

They stand in `evidences`, in `resources` and at the top of a finding, always in the same shape. Who wrote what
is told in `aurora.ingest.formats.ocsf`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from aurora.ingest.formats import _ocsf
from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._microsoft import host_name, same_path, user_name
from aurora.ingest.formats.base import Document
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType

_S = Provenance.SENSOR
_A = Provenance.ATTACKER_WRITABLE
_D = Provenance.IDENTITY_SERVER
_HOSTS: Final = ("instance", "host", "device", "endpoint", "server", "machine")
_SCHEME: Final = 16
"""Characters in which the scheme of a URL ends, if it has one; `://` further on belongs to what it asks for."""
_USERS: Final = ("user", "accesskey", "identity", "principal", "role")


class Artifacts:
    """Keeps in a draft what the objects of one finding hold; the same value under the same name once."""

    __slots__ = ("_draft", "_kept")

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._kept: set[tuple[str, str]] = set()

    def read(self, holder: Document, path: str) -> None:
        """Read every object that `holder` has; `path` is its JSON pointer."""
        for key, value in holder.items():
            read = self._readers.get(key)
            if read is None or value is None:
                continue
            if value.__class__ is dict:
                read(self, value, f"{path}/{key}")
            elif key == "url" and isinstance(value, str):
                self._url({key: value}, path, key)
            else:
                self._draft.unread(f"{path}/{key}")
        if holder.get("actor"):
            # What the actor's process started is the process of the evidence, where there is one.
            name = "process.parent" if isinstance(holder.get("process"), dict) else "process"
            self._actor(self._draft.table(holder, "actor", f"{path}/actor"), f"{path}/actor", name)
        for at, resource in self.objects(holder, "resources", path):
            self._resource(resource, at)

    def objects(self, holder: Document, key: str, path: str) -> list[tuple[str, Document]]:
        """Return (JSON pointer, object) of the list `holder[key]`; note what is no object as unread."""
        value = holder.get(key)
        if not value:
            return []
        found: list[tuple[str, Document]] = []
        if isinstance(value, dict):
            return [(f"{path}/{key}", value)]
        for number, each in enumerate(self._draft.items(holder, key, f"{path}/{key}")):
            if isinstance(each, dict):
                found.append((f"{path}/{key}/{number}", each))
            elif each is not None:
                self._draft.unread(f"{path}/{key}/{number}")
        return found

    def keep(self, name: str, value: Any, provenance: Provenance, path: str) -> str:
        """Keep a scalar unless an equal one of that name was kept; return its text."""
        if value is None or value == "":
            return ""
        text = value if value.__class__ is str else self._draft.text(value, path)
        if (name, text) not in self._kept:
            self._kept.add((name, text))
            text = self._draft.keep(name, text, provenance, path)
        return text

    def take(self, table: Document, key: str, name: str, provenance: Provenance, path: str) -> str:
        """Keep the scalar `table[key]`."""
        value = table.get(key)
        if isinstance(value, str) and value:  # as `keep` does, without the call: most values of most records
            if (name, value) in self._kept:
                return value
            self._kept.add((name, value))
            return self._draft.keep(name, value, provenance, f"{path}/{key}")
        return "" if value is None else self.keep(name, value, provenance, f"{path}/{key}")

    def digest(self, table: Document, name: str, path: str) -> None:
        """Note a fingerprint; algorithms without a type of observable are left out."""
        value = self._draft.text(table.get("value"), f"{path}/value").strip()
        known = _ocsf.ALGORITHMS.get(_ocsf.number(table.get("algorithm_id")) or 0)
        if known is None and "algorithm_id" not in table:
            known = _ocsf.HASH_LENGTHS.get(len(value))
        if known is not None and self._draft.observable(known[1], value, _S) is not None:
            self.keep(f"{name}.{known[0]}", value.lower(), _S, f"{path}/value")

    def _actor(self, actor: Document, path: str, name: str) -> None:
        if process := self._draft.table(actor, "process", f"{path}/process"):
            self._process(process, f"{path}/process", name)
        if user := self._draft.table(actor, "user", f"{path}/user"):
            self._user(user, f"{path}/user")
        self.take(actor, "invoked_by", "event.provider", _S, path)
        if session := self._draft.table(actor, "session", f"{path}/session"):
            self.take(session, "uid", "session.id", _S, f"{path}/session")

    def _api(self, api: Document, path: str) -> None:
        self.take(api, "operation", "api.operation", _S, path)
        if service := self._draft.table(api, "service", f"{path}/service"):
            self.take(service, "name", "cloud.service.name", _S, f"{path}/service")

    def _connection(self, info: Document, path: str) -> None:
        self.take(info, "direction", "network.direction", _S, path)
        protocol = self._draft.text(info.get("protocol_name"), f"{path}/protocol_name")
        self.keep("network.transport", protocol.lower(), _S, f"{path}/protocol_name")

    def _device(self, device: Document, path: str) -> None:
        key = "hostname" if device.get("hostname") else "name"
        name = host_name(self.take(device, key, "host.name", _S, path), "", "")
        number = self.take(device, "uid", "host.id", _S, path)
        self._draft.entity(EntityType.HOST, name or number.lower(), _S)
        self._draft.address(self.take(device, "ip", "host.ip", _S, path), _S)
        if system := self._draft.table(device, "os", f"{path}/os"):
            self.take(system, "name", "host.os.name", _S, f"{path}/os")

    def _source(self, endpoint: Document, path: str) -> None:
        self._endpoint(endpoint, path, role="source")

    def _destination(self, endpoint: Document, path: str) -> None:
        self._endpoint(endpoint, path, role="destination")

    def _endpoint(self, endpoint: Document, path: str, *, role: str) -> None:
        self._draft.address(self.take(endpoint, "ip", f"{role}.ip", _S, path), _S, role=role)
        self.take(endpoint, "port", f"{role}.port", _S, path)
        key = "hostname" if endpoint.get("hostname") else "domain"
        provenance = _A if role == "destination" else _S
        self._draft.peer(self.take(endpoint, key, f"{role}.domain", provenance, path), provenance)
        if place := self._draft.table(endpoint, "location", f"{path}/location"):
            self.take(place, "country", f"{role}.geo.country_iso_code", _S, f"{path}/location")

    def _email(self, email: Document, path: str) -> None:
        sender = self.take(email, "from", "email.from.address", _A, path)
        self._draft.observable(ObservableType.EMAIL, sender.strip(), _A)
        for number, recipient in enumerate(self._draft.items(email, "to", f"{path}/to")):
            address = self.keep("email.to.address", recipient, _A, f"{path}/to/{number}").strip()
            if "@" in address:
                self._draft.entity(EntityType.MAILBOX, address.lower(), _A, role="recipient")
        self.take(email, "subject", "email.subject", _A, path)

    def _file(self, file: Document, path: str) -> None:
        key = "path" if file.get("path") else "name"
        shown = self.take(file, key, f"file.{key}", _A, path)
        self._draft.entity(EntityType.FILE, same_path(shown), _A)
        if "\\" in shown or "/" in shown:
            self._draft.observable(ObservableType.FILE_PATH, same_path(shown), _A)
        self._hashes(file, "file.hash", path)
        if signature := self._draft.table(file, "signature", f"{path}/signature"):
            self.take(signature, "developer_uid", "file.code_signature.subject_name", _S, f"{path}/signature")

    def _hashes(self, file: Document, name: str, path: str) -> None:
        for key in ("hashes", "fingerprints"):
            for at, each in self.objects(file, key, path):
                self.digest(each, name, at)

    def _http(self, request: Document, path: str) -> None:
        agent = self.take(request, "user_agent", "user_agent.original", _A, path)
        self._draft.observable(ObservableType.USER_AGENT, agent, _A)
        self.take(request, "http_method", "http.request.method", _A, path)
        self.take(request, "referrer", "http.request.referrer", _A, path)
        if url := self._draft.table(request, "url", f"{path}/url"):
            self._url(url, f"{path}/url")

    def _process(self, process: Document, path: str, name: str = "process") -> None:
        file = self._draft.table(process, "file", f"{path}/file")
        image = self.take(file, "path", f"{name}.executable", _S, f"{path}/file")
        if not image:
            image = self.take(process, "path", f"{name}.executable", _S, path)
        called = self.take(process, "name", f"{name}.name", _A, path)
        if not called and not image:
            called = self.take(file, "name", f"{name}.name", _A, f"{path}/file")
        role = "parent" if name != "process" else ""
        self._draft.entity(EntityType.PROCESS, same_path(image or called), _S, role=role)
        self.take(process, "cmd_line", f"{name}.command_line", _A, path)
        self.take(process, "pid", f"{name}.pid", _S, path)
        self._hashes(file, f"{name}.hash", f"{path}/file")
        if user := self._draft.table(process, "user", f"{path}/user"):
            self._user(user, f"{path}/user")
        if name == "process" and (parent := self._draft.table(process, "parent_process", f"{path}/parent_process")):
            self._process(parent, f"{path}/parent_process", "process.parent")

    def _query(self, query: Document, path: str) -> None:
        name = self.take(query, "hostname", "dns.question.name", _A, path)
        if not name.rstrip(".").endswith(".arpa"):
            self._draft.peer(name, _A)
        self.take(query, "type", "dns.question.type", _S, path)

    def _resource(self, resource: Document, path: str) -> None:
        name = self.take(resource, "name", "resource.name", _S, path)
        number = self.take(resource, "uid", "resource.id", _S, path)
        what = self.take(resource, "type", "resource.type", _S, path)
        self.take(resource, "region", "cloud.region", _S, path)
        host = self.take(resource, "hostname", "host.name", _S, path)
        self._draft.address(self.take(resource, "ip", "host.ip", _S, path), _S)
        word = what.lower()
        if host or any(each in word for each in _HOSTS):
            bare = number.rpartition("/")[2] if number.startswith("arn:") else number
            self._draft.entity(EntityType.HOST, host_name(host or name or bare, "", ""), _S)
        elif any(each in word for each in _USERS):
            self._draft.entity(EntityType.USER, (name or number).lower(), _D)
        else:
            self._draft.entity(EntityType.APPLICATION, (number or name).strip().lower(), _S)
        if owner := self._draft.table(resource, "owner", f"{path}/owner"):
            self._user(owner, f"{path}/owner")

    def _url(self, url: Document, path: str, key: str = "") -> None:
        key = key or ("url_string" if url.get("url_string") else "text")  # `text` is that of version 1.0
        whole = self.take(url, key, "url.full", _A, path)
        if whole:
            self._draft.observable(ObservableType.URL, whole if "://" in whole[:_SCHEME] else f"http://{whole}", _A)
        self._draft.peer(self.take(url, "hostname", "url.domain", _A, path), _A)
        if not whole:
            self.take(url, "path", "url.path", _A, path)

    def _user(self, user: Document, path: str) -> None:
        number = self.take(user, "uid", "user.id", _D, path)
        provenance = _D if number else _A
        name = self.take(user, "name", "user.name", provenance, path)
        address = self.take(user, "email_addr", "user.email", provenance, path)
        domain = self.take(user, "domain", "user.domain", provenance, path)
        full = user_name(upn="", name=name, domain=domain, suffix="")
        self._draft.entity(EntityType.USER, full or address.lower() or number.lower(), provenance)

    _readers: ClassVar[dict[str, Callable[[Artifacts, Document, str], None]]] = {
        "api": _api,
        "connection_info": _connection,
        "device": _device,
        "dst_endpoint": _destination,
        "email": _email,
        "file": _file,
        "http_request": _http,
        "process": _process,
        "query": _query,
        "src_endpoint": _source,
        "url": _url,
        "user": _user,
    }
    """The objects by their key; `actor` and `resources` are read after them."""
