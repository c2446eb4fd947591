"""Host names: canonical form, registered domain, and names that are more likely files than hosts."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})  # label separators, RFC 3490 §3.1
_MAX_NAME = 253

FILE_SUFFIXES = frozenset(
    {
        "7z",
        "apk",
        "asp",
        "aspx",
        "bat",
        "bin",
        "bmp",
        "cfg",
        "class",
        "cmd",
        "conf",
        "config",
        "cpl",
        "cpp",
        "css",
        "csv",
        "dat",
        "db",
        "dll",
        "dmg",
        "doc",
        "docm",
        "docx",
        "dylib",
        "elf",
        "exe",
        "gif",
        "gz",
        "hta",
        "htm",
        "html",
        "ico",
        "ini",
        "iso",
        "jar",
        "java",
        "jpeg",
        "jpg",
        "js",
        "jse",
        "json",
        "jsp",
        "key",
        "lnk",
        "lock",
        "log",
        "msi",
        "mui",
        "ocx",
        "odt",
        "pdf",
        "pem",
        "php",
        "pif",
        "png",
        "ppt",
        "pptm",
        "pptx",
        "ps1",
        "psd1",
        "psm1",
        "pyc",
        "pyd",
        "rar",
        "reg",
        "rtf",
        "scr",
        "sct",
        "sql",
        "svg",
        "swf",
        "sys",
        "tar",
        "tgz",
        "tmp",
        "toml",
        "ts",
        "txt",
        "vbe",
        "vbs",
        "war",
        "wsf",
        "wsh",
        "xls",
        "xlsm",
        "xlsx",
        "xml",
        "xz",
        "yaml",
        "yml",
    }
)
"""Endings of files that are no top-level domains."""

FILE_LIKE_SUFFIXES = frozenset(
    {
        "bz",
        "cab",
        "cat",
        "cs",
        "dot",
        "md",
        "mov",
        "pf",
        "ps",
        "pub",
        "py",
        "sh",
        "so",
        "zip",
    }
)
"""Top-level domains that are better known as endings of files: `script.sh`, `id_rsa.pub`, `libc.so`."""

FILE_OR_HOST_SUFFIXES = frozenset(
    {
        "app",
        "pl",
        "pm",
        "rs",
        "tf",
    }
)
"""Top-level domains that are as often endings of files; a name of three labels is a host."""

CODE_LIKE_SUFFIXES = frozenset(
    {
        "call",
        "data",
        "date",
        "day",
        "do",
        "email",
        "group",
        "host",
        "id",
        "map",
        "name",
        "new",
        "now",
        "number",
        "open",
        "page",
        "properties",
        "read",
        "run",
        "search",
        "security",
        "select",
        "set",
        "size",
    }
)
"""Top-level domains that are also members in code and field names: `user.id`, `host.os.name`."""


@lru_cache(maxsize=16_384)
def host_name(text: str) -> str:
    """Return a host name in canonical form: lower case, ASCII (punycode), without a trailing dot.

    Labels outside ASCII are normalised (NFKC) and encoded as they are, so that two names which
    IDNA 2008 tells apart (`straße.de`, `strasse.de`) stay apart.

    Raises:
        ValueError: a label is empty, too long or holds a character that no host name has.
    """
    name = unicodedata.normalize("NFKC", text.translate(_DOTS).lower()).lower()
    name = name.removeprefix("*.").removesuffix(".")
    labels = [label if label.isascii() else _encoded(label) for label in name.split(".")]
    name = ".".join(labels)
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a host name")
    return name


@lru_cache(maxsize=16_384)
def registered_domain(name: str) -> str | None:
    """Return the part of a host name that somebody registered, offline, or `None`.

    `mail.evil.co.uk` gives `evil.co.uk`. Names under a public suffix that hands names to anybody
    (`x.github.io`) count as registered. `None`: no host name, or no public suffix ends it
    (`dc01.corp.local`), or it is a public suffix itself.
    """
    try:
        canonical = host_name(name)
    except ValueError:
        return None
    if "xn--" not in canonical:
        return _public_suffixes().privatesuffix(canonical)
    readable = [_decoded(label) for label in canonical.split(".")]
    registered = _public_suffixes().privatesuffix(".".join(readable))
    return None if registered is None else ".".join(canonical.split(".")[-registered.count(".") - 1 :])


def looks_like_file(name: str) -> bool:
    """Whether a bare `name` is more likely a file than a host: `invoice.exe`, `readme.md`."""
    stem, _, suffix = name.lower().rpartition(".")
    return bool(stem) and (suffix in FILE_SUFFIXES or (suffix in FILE_LIKE_SUFFIXES and "." not in stem))


def _encoded(label: str) -> str:
    if not all(char.isalnum() or char in "-_" or unicodedata.category(char).startswith("M") for char in label):
        raise ValueError("not a host name")
    return "xn--" + label.encode("punycode").decode("ascii")


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return label if "." in decoded else decoded


@cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - 10,000 lines, read when first needed

    # Punycoded rules triple the time to load; the few names that need them are decoded instead.
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False)
