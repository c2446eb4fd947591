"""Exact tokens: what must be found as a whole or not at all, such as an address, a digest or a technique id."""

from __future__ import annotations

import hashlib
import re
from ipaddress import ip_address

from aurora.kernel.models.alert import ObservableType
from aurora.kernel.observables import canonical, refang

MAX_TERMS = 200
"""Of one item. A list of thousands of indicators is no text to be found by one of them."""

_WORD = re.compile(r"[\w.%+@-]{4,}")
_URL = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,24}://[^\s\"'<>`|^{}\\]{1,2048}")
_COLONS = re.compile(r"(?<![\w:.])[0-9a-f:]{2,39}+(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])", re.ASCII)
_PLAIN = re.compile(
    r"ta?\d{4}|[0-9a-f]{32}(?:[0-9a-f]{8}|[0-9a-f]{32})?|cve[-_]\d{4}[-_]\d{4,9}"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|s-1-\d{1,3}(?:-\d{1,10}){1,10}",
    re.ASCII,
)
_TECHNIQUE = re.compile(r"(ta?\d{4})(?:\.\d{3})?", re.ASCII)
_SHORT = 24


def exact_terms(text: str) -> str:
    """Return the exact tokens of a text, each once, separated by blanks; for what is kept and for what is asked alike.

    They stand for addresses, names with a dot (of hosts and of files), mail addresses, URLs, digests, UUIDs, SIDs,
    CVE ids and techniques, defanged or not; of a sub-technique for the technique too, of a URL and of a mail
    address for the host too. A token is `x`, hex digits and `x`: one word to any tokenizer, and no stemmer knows
    its ending. Cheaper and wider than `aurora.kernel.observables.extract`: it need not tell a host from a file.
    """
    lower = text.lower()
    if "[" in lower or "(" in lower or "{" in lower or "xx" in lower or "fxp" in lower or "h**p" in lower:
        lower = refang(text).lower()
    found: dict[str, None] = {}
    if "://" in lower:
        for match in _URL.finditer(lower):
            found[_url(match[0])] = None
    for word in _WORD.findall(lower):
        if "." in word:
            _dotted(word.strip(".-%+@"), found)
        elif word[0] in _BEGIN and (len(word) >= _DIGEST or not word.isalpha()) and _PLAIN.fullmatch(word) is not None:
            found[word.replace("_", "-")] = None
    if "::" in lower or lower.count(":") >= _COLONS_IN_FULL:
        found.update((value, None) for match in _COLONS.finditer(lower) if (value := _address(match[0])))
    return " ".join([_token(value) for value in [*found][:MAX_TERMS]])


_BEGIN = frozenset("0123456789abcdefst")
_DIGEST = 32
"""Characters of the shortest digest; what is shorter and has letters alone is a word."""
_COLONS_IN_FULL = 6
"""Of an address that leaves nothing out and ends in one of version 4."""


def _dotted(value: str, found: dict[str, None]) -> None:
    if "." not in value:
        return
    if value[-1].isdigit() and value.replace(".", "").isdigit():
        if value.count(".") == 3:  # an address; anything else is a version or a number
            found[value] = None
        return
    if value[0] == "t" and (match := _TECHNIQUE.fullmatch(value)) is not None:
        found[match[1]] = None
    found[value] = None
    if "@" in value:
        found[value.rpartition("@")[2]] = None


def _url(value: str) -> str:
    value = value.rstrip(".,;:!?)]}*")
    try:
        return canonical(ObservableType.URL, value).lower()
    except ValueError:
        return value


def _address(value: str) -> str | None:
    if value.count(":") < 2 or not any(map(str.isdigit, value)):
        return None
    try:
        return str(ip_address(value.removesuffix(":") if not value.endswith("::") else value))
    except ValueError:
        return None


def _token(value: str) -> str:
    data = value.encode("utf-8", "surrogatepass")
    return f"x{data.hex() if len(data) <= _SHORT else hashlib.blake2b(data, digest_size=16).hexdigest()}x"
