"""Finding observables in free text and command lines.

Every pattern is bounded or possessive and starts only where a run of its characters starts, so
the time is linear in the text whatever an adversary writes into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from aurora.kernel._canonical import canonical, refang, url_host
from aurora.kernel.domains import CODE_LIKE_SUFFIXES, FILE_LIKE_SUFFIXES, FILE_OR_HOST_SUFFIXES, registered_domain
from aurora.kernel.evidence import Provenance
from aurora.kernel.models.alert import Observable, ObservableType

MAX_TEXT = 65_536
"""Characters that are read; what follows is left alone."""

_T = ObservableType
_CVE = re.compile(r"(?i)(?<![a-z0-9])CVE[-_]\d{4}[-_]\d{4,9}(?!\d)")
_URL = re.compile(r"(?i)(?<![a-z0-9+.-])(?:https?|s?ftps?|wss?|ldaps?|rmi|smb|tcp)://[^\s\"'<>`|^{}\\]{1,2048}")
_EMAIL = re.compile(
    r"(?<![\w.%+@-])\w[\w.%+-]{0,63}+@(?=[A-Za-z0-9])([A-Za-z0-9-]{1,63}+(?:\.[A-Za-z0-9-]{1,63}+){1,8}+)", re.ASCII
)
_HASH = re.compile(r"(?<!\w)[0-9A-Fa-f]{32}(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{32})?(?!\w)", re.ASCII)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}+(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])", re.ASCII)
_NAME = re.compile(r"(?<![\w.@$%&-])\w[\w-]{0,62}+(?:\.\w[\w-]{0,62}+){1,16}+\.?(?![\w(\[-])", re.ASCII)

_PACKAGE_ROOTS = frozenset({"android", "androidx", "com", "java", "javax", "org"})
_NOT_A_FILE_HASH = re.compile(
    r"(?i)(?:imphash|ja3s?|ja4|ssdeep|guid|uuid|trace_?id|span_?id)[\"']?\s{0,2}[:=]\s{0,2}[\"']?$"
)
_NAMES_A_HOST = re.compile(
    r"(?i)(?:domains?|host(?:s|name)?|fqdn|dns|query|sni|server(?:_?name)?|site|rrname|cname|ping|nslookup|dig|curl"
    r"|wget|callback|c2|resolved?)[\"']?(?:\s{1,3}|\s{0,2}[:=]\s{0,2})(?:to\s)?[\"']?$"
)
_PRODUCT = re.compile(
    r"(?i)(?:chrome|chromium|edge?|edga|opr|opera|version|safari|firefox|trident|mobile|ver|build)[/ =:]{1,2}$"
)
_CONTEXT = 24


class _Found(NamedTuple):
    at: int
    type: ObservableType
    value: str


_Reader = Callable[[re.Match[str]], Iterator[_Found]]


def extract(text: str, provenance: Provenance) -> tuple[Observable, ...]:
    """Return the observables in `text`, each once, in order of first appearance.

    Finds URLs (and the host of each), e-mail addresses, IPv4 and IPv6 addresses, names under a
    real public suffix, MD5, SHA-1 and SHA-256 digests, and CVE ids, defanged or not. Names whose
    suffix is also that of files or code (`script.sh`, `log.info`) count only with further
    evidence: they were defanged, a word before them says host, or a path follows. Names outside
    ASCII are found in URLs only. Only the first `MAX_TEXT` characters are read.
    """
    whole = refang(text[:MAX_TEXT])
    found: list[_Found] = []
    rest = whole
    if "://" in rest:
        rest = _take(_URL, rest, _urls, found)
    if "@" in rest:
        rest = _take(_EMAIL, rest, _emails, found)
    if len(rest) >= 13:
        rest = _take(_CVE, rest, _cves, found)
        rest = _take(_HASH, rest, _hashes, found)
    if "." in rest:
        rest = _take(_IPV4, rest, _ipv4s, found)
    if rest.count(":") > 1:
        rest = _take(_IPV6, rest, _ipv6s, found)
    if "." in rest:
        original = text[:MAX_TEXT].lower() if whole != text[:MAX_TEXT] else None
        for match in _NAME.finditer(rest):
            found.extend(_names(match, whole, original))
    found.sort(key=lambda each: each.at)
    distinct = dict.fromkeys((each.type, each.value) for each in found)
    return tuple(Observable(type=type_, value=value, provenance=provenance) for type_, value in distinct)


def _take(pattern: re.Pattern[str], text: str, reader: _Reader, found: list[_Found]) -> str:
    """Collect what `reader` makes of each match, and return `text` with those matches blanked out."""
    parts: list[str] = []
    last = 0
    for match in pattern.finditer(text):
        read = list(reader(match))
        if read:
            found += read
            parts += text[last : match.start()], " " * (match.end() - match.start())
            last = match.end()
    return "".join([*parts, text[last:]]) if parts else text


def _checked(at: int, type_: ObservableType, value: str) -> Iterator[_Found]:
    try:
        yield _Found(at, type_, canonical(type_, value))
    except ValueError:
        return


def _urls(match: re.Match[str]) -> Iterator[_Found]:
    url = _without_tail(match[0])
    yield from _checked(match.start(), _T.URL, url)
    host = url_host(url)
    if ":" in host or host.replace(".", "").isdigit():
        yield from _checked(match.start(), _T.IP, host)
    elif registered_domain(host):
        yield from _checked(match.start(), _T.DOMAIN, host)


def _without_tail(url: str) -> str:
    """Drop punctuation that ends the sentence, and brackets that the URL did not open."""
    while url[-1] in ".,;:!?)]}*":
        if url[-1] in ")]}" and url.count("([{"[")]}".index(url[-1])]) >= url.count(url[-1]):
            break
        url = url[:-1]
    return url


def _emails(match: re.Match[str]) -> Iterator[_Found]:
    if registered_domain(match[1]):
        yield from _checked(match.start(), _T.EMAIL, match[0])


def _cves(match: re.Match[str]) -> Iterator[_Found]:
    yield from _checked(match.start(), _T.CVE, match[0])


def _hashes(match: re.Match[str]) -> Iterator[_Found]:
    digest = match[0]
    if len(set(digest)) < 4 or digest.isdigit() or _NOT_A_FILE_HASH.search(_before(match)):
        return  # padding, a long number, or the digest of something other than a file
    yield from _checked(match.start(), {32: _T.HASH_MD5, 40: _T.HASH_SHA1, 64: _T.HASH_SHA256}[len(digest)], digest)


def _ipv4s(match: re.Match[str]) -> Iterator[_Found]:
    if match[0] == "0.0.0.0" or _PRODUCT.search(_before(match)):  # noqa: S104 - compared, not bound
        return  # "any", or the version of a browser
    yield from _checked(match.start(), _T.IP, match[0])


def _ipv6s(match: re.Match[str]) -> Iterator[_Found]:
    text = match[0].removesuffix(":") if not match[0].endswith("::") else match[0]
    groups = text.split(":")
    if len(groups) < 3 or not any(char.isdigit() for char in text):
        return  # a clock time, or a scope operator such as `abc::def`
    if len(groups) == 8 and all(len(group) == 2 for group in groups):
        return
    yield from _checked(match.start(), _T.IP, text)


def _names(match: re.Match[str], text: str, original: str | None) -> Iterator[_Found]:
    """Yield the name if it is a host: `original` is the lower-case text before refanging, if that differs."""
    name = match[0].rstrip(".-")
    labels = name.split(".")
    suffix = labels[-1]
    if suffix != suffix.lower() and name != name.upper():
        return  # `System.Net`, or two sentences without a blank between them
    if labels[0].lower() in _PACKAGE_ROOTS and len(labels) > 2:
        return  # a package in reverse order: `com.example.app`
    if not _may_start(text, match.start()):
        return  # one component of a path
    if registered_domain(name) is None:
        return
    suffix = suffix.lower()
    doubtful = (
        suffix in FILE_LIKE_SUFFIXES
        or suffix in CODE_LIKE_SUFFIXES
        or (suffix in FILE_OR_HOST_SUFFIXES and len(labels) == 2)
    )
    if doubtful and not _is_meant_as_host(match, name, text, original):
        return
    yield from _checked(match.start(), _T.DOMAIN, name)


def _may_start(text: str, at: int) -> bool:
    r"""Whether no path leads up to `at`: `//host` and `\\host` may, `dir/file` and `C:\file` may not."""
    before = text[max(0, at - 3) : at]
    if before.endswith("//"):
        return True
    if before.endswith("\\\\"):
        return not (len(before) == 3 and (before[0].isalnum() or before[0] in ":_\\%"))
    return not before.endswith(("/", "\\"))


def _is_meant_as_host(match: re.Match[str], name: str, text: str, original: str | None) -> bool:
    if original is not None and name.lower() not in original:
        return True  # somebody defanged it
    start, end = match.start(), match.start() + len(name)
    return (
        name.lower().startswith("www.")
        or text[max(0, start - 2) : start] in {"//", "\\\\"}
        or _NAMES_A_HOST.search(_before(match)) is not None
        or re.match(r"/(?!/)|:(?:80|443|8080|8443)(?!\d)", text[end : end + 6]) is not None
    )


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - _CONTEXT) : match.start()]
