"""Secrets out of a text before it is kept.

Each detector has a word that every such secret has in it or before it. It is looked for as plain text, at the speed
of memory, and only if it is there the pattern is tried: text without secrets costs next to nothing. Patterns are
bounded or possessive, so the time is linear in the text whatever an adversary writes.

Hashes, UUIDs, SIDs and ids stay: analysts look for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from memory.guard import _assignments, _cards
from memory.guard._assignments import is_placeholder
from memory.ports import Redacted, Redactor


class _Detector(NamedTuple):
    """A kind of secret: where `word` is in the text, `pattern` is looked for; its first group is the secret."""

    kind: str
    word: str
    pattern: re.Pattern[str]
    accepts: Callable[[str], bool] | None = None


def _form(kind: str, word: str, rest: str) -> _Detector:
    """Return a detector of what is known by its own form; it begins with `word`, where no name goes on.

    The look behind comes after the word, so that the engine can look for the word as plain text.
    """
    return _Detector(kind, word, re.compile(rf"({re.escape(word)}(?<![A-Za-z0-9_-]{re.escape(word)}){rest})", re.ASCII))


# Where two overlap, what begins first counts, and of those the one that stands first here.
_BY_FORM: tuple[_Detector, ...] = (
    _Detector(
        "private_key",
        "-----BEGIN",
        re.compile(
            r"(-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*+(?:-----END"
            r" [^-\n]{0,50}-----)?)"
        ),
    ),
    _form("aws_key", "AKIA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    _form("aws_key", "ASIA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    _form("github_token", "gh", r"[pousr]_[A-Za-z0-9]{30,255}"),
    _form("github_token", "github_pat_", r"\w{22,255}"),
    _form("gitlab_token", "gl", r"(?:pat|dt|rt)-[\w.-]{16,255}"),
    _form("slack_token", "xox", r"[abeps](?:\.xox[bp])?-[\w%-]{10,255}"),
    _form("slack_token", "xapp-", r"\d-[\w-]{10,255}"),
    _Detector(
        "slack_token",
        "hooks.slack.com/",
        re.compile(r"hooks\.slack\.com/((?:services|workflows|triggers)/[\w/+-]{20,200})", re.ASCII),
    ),
    _form("anthropic_key", "sk-ant-", r"[\w-]{16,255}"),
    _form("openai_key", "sk-", r"(?:(?:proj|svcacct|admin)-[\w-]{20,255}|[A-Za-z0-9]{32,64}(?![\w-]))"),
    _form("stripe_key", "sk_", r"(?:live|test)_[A-Za-z0-9]{10,255}"),
    _form("stripe_key", "rk_", r"(?:live|test)_[A-Za-z0-9]{10,255}"),
    _form("stripe_key", "whsec_", r"[A-Za-z0-9+/=]{20,100}"),
    _form("google_key", "AIza", r"[\w-]{35}(?![\w-])"),
    _form("google_key", "ya29.", r"[\w-]{20,2048}"),
    _form("google_key", "GOCSPX-", r"[\w-]{20,64}"),
    _form("service_token", "npm_", r"[A-Za-z0-9]{36}(?!\w)"),
    _form("service_token", "hf_", r"[A-Za-z0-9]{30,64}(?!\w)"),
    _form("service_token", "pypi-AgE", r"[\w-]{24,512}"),
    _form("service_token", "hvs.", r"[\w-]{24,512}"),
    _form("service_token", "dop_v1_", r"[0-9a-f]{64}"),
    _form("service_token", "SG.", r"[\w-]{16,32}\.[\w-]{30,64}"),
    _form("jwt", "eyJ", r"[\w-]{8,4096}+\.[\w-]{8,16384}+(?:\.[\w-]{0,4096}+){1,3}"),
    _Detector(
        "url_password",
        "://",
        re.compile(r"://[^\s/:@\"'<>?#]{0,128}:([^\s/@\"'<>]{1,256})@(?=[\w.\[-])"),
        lambda secret: not is_placeholder(secret),
    ),
    _Detector("connection_string", "sig=", re.compile(r"sig=(?<=[?&]sig=)([\w+/%-]{20,200}={0,2})")),
)
# Of these the text in small letters is searched.
_BY_NAME: tuple[_Detector, ...] = (
    _Detector(
        "authorization",
        "authorization",
        re.compile(
            r"""(?ix)authorization\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?
            (?:(?:bearer|basic|digest|negotiate|ntlm|token|apikey|aws4-hmac-sha256|sharedkey)\s{1,3})?
            ([\w.~+/=:-]{8,8192}+(?:,?\s?[\w-]{1,40}="?[^\s,"']{1,400}"?,?){0,8})"""
        ),
        lambda secret: not secret.isalpha() and not is_placeholder(secret),
    ),
    _Detector(
        "authorization",
        "bearer ",
        re.compile(r"(?i)(?<![a-z])bearer\s{1,3}((?=[^\s\d]{0,400}\d)[\w.~+/=-]{16,8192})"),
    ),
    _Detector("connection_string", "accountkey=", re.compile(r"(?i)accountkey=([\w+/=%&:. -]{16,512})")),
    _Detector(
        "connection_string",
        "sharedaccess",
        re.compile(r"(?i)sharedaccess(?:key|signature)=([\w+/=%&:. -]{16,512})"),
    ),
)


def redact(text: str) -> Redacted:
    """Return `text` with each secret replaced by `[redacted:<kind>]`. Doing it twice changes nothing.

    Found by form: keys and tokens of AWS, GitHub, GitLab, Slack, OpenAI, Anthropic, Google, Stripe and others, JSON
    Web Tokens, private keys, card numbers whose check digit is right. Found by what stands before: passwords and
    keys (`password=`, `--password`, `"api_key":`), authorization headers, passwords in URLs and connection strings.
    The name before a secret stays, and so does the user of a URL.
    """
    lower = text.lower()
    if len(lower) != len(text):  # a letter whose small form is two characters would move all that follows
        lower = text.translate(_ASCII_LOWER)
    found = [*_found(text, lower), *_assignments.find(text, lower), *_cards.find(text)]
    if not found:
        return Redacted(text)
    found.sort(key=lambda each: each[0])
    parts: list[str] = []
    kinds: set[str] = set()
    last = 0
    for start, end, kind in found:
        if start < last or text.startswith("[redacted:", start):
            continue
        parts += text[last:start], f"[redacted:{kind}]"
        kinds.add(kind)
        last = end
    return Redacted("".join([*parts, text[last:]]), tuple(sorted(kinds)))


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _found(text: str, lower: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each secret that a detector knows."""
    for detectors, searched in ((_BY_FORM, text), (_BY_NAME, lower)):
        for kind, word, pattern, accepts in detectors:
            if word in searched:
                for match in pattern.finditer(text):
                    if accepts is None or accepts(match[1]):
                        yield match.start(1), match.end(1), kind


def redact_value(value: Any, redactor: Redactor, *, kinds: set[str]) -> Any:
    """Return a JSON value with the secrets taken out of every string in it, and add their kinds to `kinds`.

    A string under a name such as `password` is a secret as a whole.
    """
    if isinstance(value, str):
        return _clean(value, redactor, kinds)
    if isinstance(value, Mapping):
        return {
            _clean(name, redactor, kinds): _named(name, each, redactor, kinds)
            if isinstance(each, str)
            else redact_value(each, redactor, kinds=kinds)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_value(each, redactor, kinds=kinds) for each in value]
    return value


def lines_of(value: Any) -> Iterator[str]:
    """Yield the strings of a JSON value, each with its name.

    If a redactor leaves these lines alone, in one text with a few line breaks between, it would leave the value alone.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if isinstance(each, str):
                yield f'{name}="{each}"'
                if _assignments.NAMES.search(name) is not None:
                    yield _quoted(name, each)
            else:
                yield name
                yield from lines_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from lines_of(each)


def _clean(text: str, redactor: Redactor, kinds: set[str]) -> str:
    redacted = redactor(text)
    kinds.update(redacted.kinds)
    return redacted.text


def _named(name: str, value: str, redactor: Redactor, kinds: set[str]) -> str:
    if _assignments.NAMES.search(name) is not None:
        redacted = redactor(_quoted(name, value))
        if redacted.kinds:
            kinds.update(redacted.kinds)
            return f"[redacted:{redacted.kinds[0]}]"
    before = f'{name}="'
    redacted = redactor(f'{before}{value}"')
    if not redacted.kinds:
        return value
    kinds.update(redacted.kinds)
    if redacted.text.startswith(before) and redacted.text.endswith('"'):
        return redacted.text[len(before) : -1]
    return _clean(value, redactor, kinds)


def _quoted(name: str, value: str) -> str:
    """Return an assignment of the whole value: blanks and commas belong to it, quotes and line breaks end nothing."""
    return f'{name}="{_UNQUOTABLE.sub("_", value[: _assignments.MAX_SECRET])}"'


_UNQUOTABLE = re.compile(r'["\\\r\n]')
