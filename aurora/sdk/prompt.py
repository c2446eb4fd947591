"""Prompts: files that say who they are, so that a run can say what it was asked with."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from aurora.kernel.errors import ContentInvalid

_HEAD = re.compile(r"---\n(?P<head>.*?)\n---\n(?P<text>.*)", re.DOTALL)
_LINE = re.compile(r"(?P<key>[a-z]+): *(?P<value>\S.*?)\s*")
_KEYS = ("id", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What an agent is told to be and to do. Trusted text: it comes with the code, never from data."""

    id: str
    version: str
    text: str
    sha256: str
    """Hex digest of the whole file, head included."""

    @property
    def reference(self) -> str:
        """What a run records: `triage@1#3f9a0c21d4e7`."""
        return f"{self.id}@{self.version}#{self.sha256[:12]}"


def read_prompt(path: Path) -> Prompt:
    r"""Return the prompt in a file: a head of `id:` and `version:` between lines of `---`, then the text.

    Raises:
        ContentInvalid: there is no such file, its head lacks something, or it says nothing.
    """
    try:
        raw = path.read_bytes()
        whole = raw.decode("utf-8-sig")  # Windows editors put a mark before UTF-8
    except FileNotFoundError:
        raise ContentInvalid(f"prompt {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContentInvalid(f"prompt {path} cannot be read: {type(error).__name__}") from error
    match = _HEAD.fullmatch(whole.replace("\r\n", "\n"))
    if match is None:
        raise ContentInvalid(f"prompt {path} has no head: begin it with lines '---', 'id: …', 'version: …', '---'")
    head = {}
    for line in match["head"].splitlines():
        pair = _LINE.fullmatch(line)
        if pair is None or pair["key"] not in _KEYS or pair["key"] in head:
            raise ContentInvalid(f"prompt {path}: its head may say 'id' and 'version' once each, not {line!r}")
        head[pair["key"]] = pair["value"]
    if missing := [key for key in _KEYS if key not in head]:
        raise ContentInvalid(f"prompt {path}: its head lacks {' and '.join(missing)}")
    text = match["text"].strip()
    if not text:
        raise ContentInvalid(f"prompt {path} has a head, but no text")
    return Prompt(id=head["id"], version=head["version"], text=text, sha256=hashlib.sha256(raw).hexdigest())
