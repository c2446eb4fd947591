"""Card numbers: by issuer, length and check digit, and not where a name says that the number is an id."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The look behind comes after the first digit, so that the engine can skip to digits.
_CARD = re.compile(
    r"[2-6](?<![\w.+/%-].)\d{3}(?:([ -]?)\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|([ -])\d{6}\2\d{4,5})(?![\w+/=%-]|\.\d)",
    re.ASCII,
)
_MAY_BE_ONE = re.compile(r"\d{4}[ -]?\d{4}[ -]?\d{2}", re.ASCII)
_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}$|3[47]\d{13}$"
    r"|(?:6011|64[4-9]\d|65\d{2}|35(?:2[89]|[3-8]\d))\d{12}$|3(?:0[0-5]|[68]\d)\d{11}$"
)
_NAMES_AN_ID = re.compile(
    r"""(?i)(?:id|seq|sequence|serial|stamp|time|number|count|offset|port|size|ref|tx|(?:pkts|packets|bytes)\w{0,16})["'\\]{0,3}\s{0,2}[:=#]\s{0,2}["'\\]{0,3}$"""
)
_NAMES_A_CARD = re.compile(r"(?i)card|pan\b|visa|amex|master|credit|payment")
_BEFORE = 32
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def find(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each card number."""
    if _MAY_BE_ONE.search(text) is None:
        return
    for match in _CARD.finditer(text):
        digits = "".join(filter(str.isdigit, match[0]))
        if _ISSUER.match(digits) and has_check_digit(digits) and not _is_id(match, digits):
            yield match.start(), match.end(), "card_number"


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is right by Luhn's formula."""
    plain = sum(int(digit) for digit in digits[-1::-2])
    return (plain + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def _is_id(match: re.Match[str], digits: str) -> bool:
    """Whether the digits stand undivided behind the name of something that is counted: one in ten passes by chance."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    return len(digits) == len(match[0]) and bool(_NAMES_AN_ID.search(before)) and not _NAMES_A_CARD.search(before)
