"""Text from outside has a type, so that it cannot slip into a prompt or a terminal unnoticed."""

from __future__ import annotations

import re
from typing import Any, Never

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

# Controls (C0 without tab and newline, DEL, C1), zero-width, bidirectional and tag characters:
# they move the cursor, hide text or reorder it ("Trojan Source", CVE-2021-42574).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    r"""Return `text` with every control, invisible or reordering character made visible as `\uXXXX`."""
    return _UNSAFE.sub(_visible, text)


def quoted(text: str, *, limit: int = 120) -> str:
    """Return `text` cleaned, on one line, at most `limit` characters, in guillemets."""
    line = clean(str.__str__(text)).replace("\n", " ").replace("\t", " ")
    return f"«{line if len(line) <= limit else line[: limit - 1] + '…'}»"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class UntrustedText(str):
    """Text that somebody outside wrote. It compares and serialises as text, but does not format.

    `f"{text}"` and `format(text)` raise: show it through `quoted`, or hand it to a model
    through the one framing function. `str` methods return plain `str`; keep the wrapper.
    """

    __slots__ = ()

    def __format__(self, spec: str, /) -> Never:
        raise TypeError("untrusted text must not be formatted into a string: use quoted() or frame it as data")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
