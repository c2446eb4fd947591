"""Observables from text: refang, recognise, canonicalise, extract. Pure, offline, linear time."""

from __future__ import annotations

import re
from functools import lru_cache

from aurora.kernel._canonical import CACHED, MAX_VALUE, canonical, refang, split_port, url_host
from aurora.kernel._extract import extract
from aurora.kernel.domains import looks_like_file, registered_domain
from aurora.kernel.evidence import Provenance
from aurora.kernel.models.alert import Observable, ObservableType

__all__ = ["canonical", "extract", "observable", "recognise", "refang", "registered_domain", "url_host"]

_T = ObservableType
_BY_LENGTH = {32: _T.HASH_MD5, 40: _T.HASH_SHA1, 64: _T.HASH_SHA256}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABELLED = re.compile(r"(?i)(?:md5|sha-?1|sha-?256)\s{0,3}[:=]\s{0,3}(?=[0-9a-f]{32})")
_HASH = re.compile(r"(?i)[0-9a-f]{32}(?:[0-9a-f]{8}|[0-9a-f]{32})?")
_CVE = re.compile(r"(?i)CVE[-_]\d{4}[-_]\d{4,9}")
_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]{1,31}://\S+")
_EMAIL = re.compile(r"[^\s@/\\]{1,64}@[^\s@/\\:]+\.[^\s@/\\:.]+")
_REGISTRY = re.compile(r"(?i)(?:HK(?:LM|CU|U|CR|CC)|HKEY_[A-Z_]+)\\.*")
_MUTEX = re.compile(r"(?i)(?:Global|Local|Session\\\d+|\\?BaseNamedObjects)\\.+")
_PATH = re.compile(r"[A-Za-z]:[\\/].*|\\\\.+|~?/.*|%\w+%[\\/].*|\$\w+[\\/].*|\.{1,2}[\\/].*")
_AGENT = re.compile(r"[A-Za-z][\w.+-]*/v?\d[\w.+-]*(?:[\s;(].*)?")
_HOST = re.compile(r"(?:\*\.)?[^\s/\\:@?#&=%\"'<>|,;()\[\]{}]+")


def observable(type: ObservableType, value: str, provenance: Provenance = Provenance.SENSOR) -> Observable | None:
    """Return `value` refanged and canonical as an observable of `type`, or `None` if it is not one."""
    try:
        return Observable(type=type, value=canonical(type, refang(value)), provenance=provenance)
    except ValueError:
        return None


def recognise(text: str, *, provenance: Provenance = Provenance.SENSOR) -> Observable:
    """Return one bare string as an observable, typed from its form.

    A port, quotes around it, defanging and a label such as `sha256:` are dropped. A name without
    a dot is a host (type domain) and a bare file name is a path.

    Raises:
        ValueError: the text is empty, too long, has control characters or is prose; the message
            names which, never the text.
    """
    type_, value = (_cached if len(text) <= CACHED else _recognised)(text)
    return Observable(type=type_, value=value, provenance=provenance)


def _recognised(text: str) -> tuple[ObservableType, str]:
    bare = text.strip().strip("\"'`<>").strip()
    if not bare:
        raise ValueError("an observable must not be empty")
    if len(bare) > MAX_VALUE:
        raise ValueError(f"an observable must not be longer than {MAX_VALUE} characters")
    if _CONTROL.search(bare):
        raise ValueError("an observable must not hold control characters")
    whole = _LABELLED.sub("", refang(bare), count=1)
    for type_ in _candidates(whole):
        try:
            return type_, canonical(type_, split_port(whole)[0] if type_ in _WITH_PORT else whole)
        except ValueError:
            continue
    raise ValueError("an observable must be an address, name, URL, hash, path or the like, not free text")


_cached = lru_cache(maxsize=16_384)(_recognised)
_WITH_PORT = frozenset({_T.IP, _T.DOMAIN})


def _candidates(text: str) -> tuple[ObservableType, ...]:
    """Return the types that the form of `text` allows, most telling first."""
    if _HASH.fullmatch(text):
        return (_BY_LENGTH[len(text)],)
    for pattern, type_ in (
        (_CVE, _T.CVE),
        (_URL, _T.URL),
        (_REGISTRY, _T.REGISTRY_KEY),
        (_EMAIL, _T.EMAIL),
        (_MUTEX, _T.MUTEX),
        (_PATH, _T.FILE_PATH),
    ):
        if pattern.fullmatch(text):
            return (type_,)
    if text.replace(".", "").replace(":", "").isdigit() or text.count(":") > 1:
        return (_T.IP,)
    if _HOST.fullmatch(split_port(text)[0]):
        return (_T.FILE_PATH,) if looks_like_file(text) else (_T.DOMAIN,)
    if _AGENT.fullmatch(text):
        return (_T.USER_AGENT,)
    host, slash, path = text.partition("/")
    if slash and registered_domain(split_port(host)[0]):
        return (_T.URL,)
    if slash and path.isdigit():
        return ()  # an address range
    return (_T.FILE_PATH,) if looks_like_file(text) or (re.search(r"\w[/\\]\w", text) and " " not in text) else ()
