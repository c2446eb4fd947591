"""What values tell beside their field: entities and observables. Each is a `Note` of `_tree`."""

from __future__ import annotations

import re
from collections.abc import Callable

from aurora.ingest.formats._draft import Draft
from aurora.ingest.formats._microsoft import same_path
from aurora.ingest.formats._tree import Note
from aurora.kernel.evidence import Provenance
from aurora.kernel.models import EntityType, ObservableType

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"})  # noqa: S104 - nothing is bound
_CVE = re.compile(r"CVE-\d{4}-\d{4,9}", re.IGNORECASE)


def observing(kind: ObservableType) -> Note:
    """Return a note of an observable of that type."""

    def note(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
        draft.observable(kind, text, provenance)

    return note


def addressing(role: str) -> Note:
    """Return a note of an address in that role; a port behind it is dropped, the machine's own address is nobody."""

    def note(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
        address = bare_address(text)
        if address not in _THIS_MACHINE:
            draft.address(address, provenance, role=role)

    return note


def naming(kind: EntityType, role: str = "", *, change: Callable[[str], str] = str.lower) -> Note:
    """Return a note of an entity in that role, called by what `change` makes of the text."""

    def note(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
        draft.entity(kind, change(text.strip()), provenance, role=role)

    return note


def bare_address(text: str) -> str:
    """Return `192.0.2.1:443` and `[2001:db8::1]:443` without port and brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, port = text.partition(":")
    return host if colon and port.isdecimal() else text


def file(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
    """Note a file that is named with its folder, or only by name."""
    same = same_path(text)
    draft.entity(EntityType.FILE, same, provenance)
    if "\\" in text or "/" in text:
        draft.observable(ObservableType.FILE_PATH, same, provenance)


def peer(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
    """Note a host that was asked for by name or by address."""
    draft.peer(text, provenance)


def url(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
    """Note a whole URL; a path alone is only a field."""
    if "://" in text:
        draft.observable(ObservableType.URL, text, provenance)


def technique(draft: Draft, text: str, provenance: Provenance, path: str) -> None:
    """Note an ATT&CK id, which is kept under the name it has today."""
    draft.techniques((text,), provenance, path)


def vulnerabilities(draft: Draft, text: str, provenance: Provenance, _path: str) -> None:
    """Note the CVE numbers in a text."""
    for spelling in _CVE.findall(text):
        draft.observable(ObservableType.CVE, spelling.upper(), provenance)


process = naming(EntityType.PROCESS, change=same_path)
user = naming(EntityType.USER)
source = addressing("source")
destination = addressing("destination")
sha256 = observing(ObservableType.HASH_SHA256)
sha1 = observing(ObservableType.HASH_SHA1)
md5 = observing(ObservableType.HASH_MD5)
registry = observing(ObservableType.REGISTRY_KEY)
agent = observing(ObservableType.USER_AGENT)
email = observing(ObservableType.EMAIL)
