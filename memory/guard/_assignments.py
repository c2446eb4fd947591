"""Secrets known by the name before them: `password=…`, `"api_key": "…"`, `--token …`, `net user <name> …`."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SECRET = 512

_VALUE = r"""(?:\\{0,2}"([^"\\\r\n]{1,512})|'([^'\r\n]{1,512})'|([^\s"',;&<>(){}\[\]|]{1,512}))"""
_ASSIGNED = rf"""\\{{0,2}}["']?(?:\s{{0,3}}(?::=|=>|[:=])\s{{0,3}}){_VALUE}"""
_GIVEN = rf"""(?:\s{{1,3}}|[:=])(?!--?[a-z]|/[a-z]){_VALUE}"""

# A word, what it may go on to, and whether every value under such a name is a secret, however short.
_WORDS: tuple[tuple[str, str, bool], ...] = (
    ("pass", r"pass(?:w(?:or)?d|wort|phrase|code)", True),
    ("pwd", "pwd", True),
    ("secret", r"secret(?:[_-]?(?:access|api))?(?:[_-]?(?:key|string|value|text))?", False),
    ("token", "token", False),
    ("key", "key", False),
    ("credential", "credentials?", False),
)
_COMPILED = tuple(
    (word, re.compile(f"(?i)(?:{name}){_ASSIGNED}"), re.compile(f"(?i)(?:{name}){_GIVEN}"), any_value)
    for word, name, any_value in _WORDS
)
_OPTION = re.compile(r"(?i)(?:^|[\s\"'])(?:--?|/)(?:[a-z0-9]{1,16}[-_]?){0,2}$")
_QUALIFIER = re.compile(
    r"(?i)(?:(?<![a-z0-9])|(?<=_))(?:api|access|account|shared|sharedaccess|private|encryption|signing|storage|master"
    r"|auth|client|app|consumer|webhook|refresh|session|security|bearer|id|csrf|oauth2?|bot|device|secret"
    r"|secretaccess)[ _-]?$"
)
_GLUED = re.compile(r"[a-z0-9]$", re.IGNORECASE | re.ASCII)
NAMES = re.compile(r"(?i)passw|passphrase|passcode|pwd|secret|token|key|credential|authorization")
_BEFORE = 40

_COMMANDS = (
    (
        "user ",
        re.compile(
            r"(?i)user\s{1,3}(?![/\"])\S{1,104}\s{1,3}(?![/*])()()(\S{1,128})(?=\s{1,3}/add\b|\s*$|\s*[\"|&\n])"
        ),
    ),
    ("sshpass", re.compile(rf"sshpass\s{{1,3}}-p\s{{0,3}}{_VALUE}")),
    ("/rp ", re.compile(rf"(?i)/rp\s{{1,3}}{_VALUE}")),
    ("-p ", re.compile(rf"(?i)-p\s{{1,3}}{_VALUE}")),
    ("/pass:", re.compile(rf"(?i)/pass:{_VALUE}")),
    (
        "-securestring",
        re.compile(rf"(?i)-securestring\s{{1,3}}(?:-string\s{{1,3}})?(?!-){_VALUE}"),
    ),
    (
        "curl",
        re.compile(
            r"(?i)curl(?:\.exe)?(?=\s)[^\r\n|;]{0,200}?\s(?:-u|--user)"
            r"[\s=]{0,3}[\"']?[^\s:\"'/]{1,100}:()()([^\s\"']{1,256})"
        ),
    ),
)
_NET = re.compile(r"(?i)(?<!\w)net1?(?:\.exe)?\"?\s{1,3}$")
_USER_BEFORE = re.compile(r"(?i)\s-u\s{1,3}\S{1,104}\s{1,3}$")

_PLACEHOLDER = re.compile(
    r"(?i)[*•.#_-]+|x{3,}|<.*|\[?redacted\b.*|\[redacted:.*|\[?(?:hidden|masked|filtered|removed)\]?|null|none|nil|n/?a"
    r"|true|false|undefined|empty|unknown|yes|no|\$\{?[\w:.]+\}?|%\w+%|%[sd]|\{.*|\[string\].*|(?:convertto"
    r"|get|read)-\w+.*"
    r"|system\.\S+|(?:must|was|is|has|not|changed?|expire[sd]?|reset|required|policy|set|incorrect|invalid"
    r"|wrong|protected"
    r"|never|spray(?:ing)?|stor(?:e|ing)|dump(?:ing)?|polic(?:y|ies)|last)\b.*|0x0|\d{1,3}"
)
_RANDOM = re.compile(r"(?=.{0,255}\d)[A-Za-z0-9_.+/=~:!@#$%^*-]{12,}")
_NAMED_ID = re.compile(
    r"(?i)(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|0x[0-9a-f]+|s-1-[\d-]+|arn:.*|[a-z]+:[a-z]+:.*)"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ].*")
_DIRECTORY = re.compile(r"(?:~|/|[A-Za-z]:[\\/])")


def is_placeholder(value: str) -> bool:
    """Whether a value says that there is no secret: stars, a variable, `[hidden]`, or the next word of a sentence."""
    return _PLACEHOLDER.fullmatch(value.strip()) is not None


def find(text: str, lower: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each secret.

    Args:
        text: What is searched.
        lower: The same in lower case, of the same length.
    """
    for word, assigned, given, any_value in _COMPILED:
        at = lower.find(word)
        while at >= 0:
            after = at + len(word)
            match = assigned.match(text, at)
            if match is None and _OPTION.search(text, max(0, at - _BEFORE), at):
                match = given.match(text, at)
            if match is not None and (span := _secret(match, word, any_value=any_value)):
                yield *span, "password" if any_value else _kind(word)
                after = span[1]
            at = lower.find(word, after)
    for word, pattern in _COMMANDS:
        at = lower.find(word)
        while at >= 0:
            after = at + len(word)
            match = pattern.match(text, at)
            if match is not None and _is_command(word, text, at) and not is_placeholder(text[slice(*_span(match))]):
                yield *_span(match), "password"
                after = match.end()
            at = lower.find(word, after)


def _kind(word: str) -> str:
    return "api_key" if word == "key" else word


def _secret(match: re.Match[str], word: str, *, any_value: bool) -> tuple[int, int] | None:
    start, end = _span(match)
    value = match.string[start:end]
    if is_placeholder(value):
        return None
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    if any_value:
        # Of a shell, PWD is the directory it works in.
        return None if word == "pwd" and _DIRECTORY.match(value) else (start, end)
    is_qualified = _QUALIFIER.search(before) is not None
    if not is_qualified and (word == "key" or _GLUED.search(before)):
        return None
    if not _RANDOM.fullmatch(value) or _TIME.match(value) or _NAMED_ID.fullmatch(value):
        return None
    return start, end


def _span(match: re.Match[str]) -> tuple[int, int]:
    group = next(number for number in (1, 2, 3) if match[number])
    return match.span(group)


def _is_command(word: str, text: str, at: int) -> bool:
    """Whether what stands before says that the word begins, or belongs to, a command that takes a password."""
    if word == "user ":
        return _NET.search(text, max(0, at - 16), at) is not None
    if word == "-p ":
        return _USER_BEFORE.search(text, max(0, at - 120), at) is not None
    return word == "-securestring" or at == 0 or not text[at - 1].isalnum()
