"""Refanging, and the one canonical form of each type of observable."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from aurora.kernel.domains import host_name
from aurora.kernel.models.alert import ObservableType

MAX_VALUE = 4096
"""Characters; a longer text is no observable."""

CACHED = 256
"""Longest value that caches keep: 65,536 values of `MAX_VALUE` could take a gigabyte, of these 50 to 150 MiB."""

_HASH_LENGTHS = {ObservableType.HASH_MD5: 32, ObservableType.HASH_SHA1: 40, ObservableType.HASH_SHA256: 64}
_HEX = re.compile(r"[0-9a-f]+")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://([^/?#\s]{1,1024})(\S*)")
_BARE_URL = re.compile(r"()([^/?#\s]{1,1024}\.[^/?#\s]{2,64})(/\S*)")
_AFTER_HOST = re.compile(r"[/?#]")
_CVE = re.compile(r"(?i:CVE)[-_](\d{4})[-_](\d{4,9})")
_DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443"}
_HIVES = {
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_USERS": "HKU",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKEY_CURRENT_CONFIG": "HKCC",
}

# Bracket runs are bounded so that a text of brackets alone costs linear time.
_OPEN, _CLOSE = r"[\[({]{1,3}[ ]?", r"[ ]?[\])}]{1,3}"
_FANGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"[ ]?{_OPEN}(?i:dot){_CLOSE}[ ]?|{_OPEN}\.{_CLOSE}|\[\.|\.\]"), "."),
    (re.compile(r"(?i)(?<=[a-z0-9]) \.(?=[a-z]{2,24}[)\]])"), "."),  # `(evil .com)`, the way of Emerging Threats
    (re.compile(rf"[ ]?{_OPEN}(?i:at){_CLOSE}[ ]?|{_OPEN}@{_CLOSE}"), "@"),
    (re.compile(r"\[:\]|\(:\)|\{:\}"), ":"),
    (re.compile(r"\[://\]|\[:/+\]|:\[/+\]"), "://"),
    (re.compile(r"\[/\]"), "/"),
    (re.compile(r"(?i)(?<![a-z0-9])h(?:xx|\*\*)p(?:(s)|\[(s)\])?(?=://|:\\)"), r"http\1\2"),
    (re.compile(r"(?i)(?<![a-z0-9])fxp(?=s?://)"), "ftp"),
)
_HINT = re.compile(r"[\[({]|\.\]|(?i:h\*\*p|hxxp|fxp)")


def refang(text: str) -> str:
    """Return `text` with defanged addresses made whole: `hxxps[:]//evil[.]example` is a URL again."""
    if _HINT.search(text) is None:
        return text
    for pattern, whole in _FANGS:
        text = pattern.sub(whole, text)
    return text


def canonical(type: ObservableType, value: str) -> str:
    """Return the form in which equal observables are equal text. Applying it twice changes nothing.

    Addresses are compressed (an IPv4 address mapped into IPv6 becomes IPv4, zones go), names are
    lower-case ASCII without a trailing dot, hashes lower-case, CVE ids upper-case. Of URLs scheme
    and host are lower-case and a default port goes; a URL without scheme (`host/path`) stays so.
    Of e-mail addresses only the domain is lower-case. Paths, mutexes and user agents stay as
    written.

    Raises:
        ValueError: the value is not of that type; the message names the kind of fault.
    """
    return (_cached if len(value) <= CACHED else _canonical)(type, value)


def _canonical(type: ObservableType, value: str) -> str:
    text = value.strip()
    if not text:
        raise ValueError("empty value")
    if len(text) > MAX_VALUE:
        raise ValueError(f"value is longer than {MAX_VALUE} characters")
    match type:
        case ObservableType.IP:
            return _address(text)
        case ObservableType.DOMAIN:
            return host_name(text)
        case ObservableType.URL:
            return _url(text)
        case ObservableType.EMAIL:
            return _email(text)
        case ObservableType.HASH_MD5 | ObservableType.HASH_SHA1 | ObservableType.HASH_SHA256:
            return _hash(type, text)
        case ObservableType.CVE:
            return _cve(text)
        case ObservableType.REGISTRY_KEY:
            hive, slash, rest = text.partition("\\")
            return _HIVES.get(hive.upper(), hive.upper()) + slash + rest
        case _:
            return text


_cached = lru_cache(maxsize=16_384)(_canonical)


def _address(text: str) -> str:
    try:
        parsed = ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        raise ValueError("not an IP address") from None
    inner = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(inner or parsed)


def _url(text: str) -> str:
    match = _URL.fullmatch(text) or _BARE_URL.fullmatch(text)
    if match is None:
        raise ValueError("not a URL")
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    user, at, place = authority.rpartition("@")
    host, port = split_port(place)
    name = _address(host) if host.startswith("[") else _or_address(host_name(host))
    if ":" in name:
        name = f"[{name}]"
    if port and port != _DEFAULT_PORTS.get(scheme):
        name = f"{name}:{port}"
    return f"{scheme}{'://' if scheme else ''}{user}{at}{name}{rest}"


def _or_address(name: str) -> str:
    return _address(name) if name.replace(".", "").isdigit() and name.count(".") == 3 else name


def split_port(place: str) -> tuple[str, str]:
    """Split `host:port` or `[v6]:port`; the port is empty where there is none."""
    host, colon, port = place.rpartition(":")
    if colon and ((port.isascii() and port.isdigit()) or not port) and (":" not in host or host.endswith("]")):
        return host, port
    return place, ""


def url_host(url: str) -> str:
    """Return the host of a URL as written, without user, port and the brackets of an IPv6 address."""
    authority = _AFTER_HOST.split(url.partition("://")[2] or url, maxsplit=1)[0]
    return split_port(authority.rpartition("@")[2])[0].removeprefix("[").removesuffix("]")


def _email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not (at and local) or any(char.isspace() for char in local):
        raise ValueError("not an e-mail address")
    return f"{local}@{host_name(domain)}"


def _hash(type: ObservableType, text: str) -> str:
    digest = text.lower()
    if len(digest) != _HASH_LENGTHS[type] or not _HEX.fullmatch(digest):
        raise ValueError(f"not {_HASH_LENGTHS[type]} hexadecimal digits")
    return digest


def _cve(text: str) -> str:
    match = _CVE.fullmatch(text)
    if match is None:
        raise ValueError("not a CVE id")
    return f"CVE-{match[1]}-{match[2]}"
