"""However a file is damaged or cut into blocks, the reader ends, and nothing of the file is lost from the account."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from aurora.ingest.reading.records import Item, RawRecord
from aurora.ingest.reading.splitting import Splitter
from aurora.ingest.reading.window import Window

_PIECES = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\n",
    b"\\",
    b"\0",
    b"\xff",
    b'{"n":',
    b"\xef\xbb\xbf",
    b"\n{",
    b"",
)
_DOCUMENTS = [{"n": 1, "s": 'q"{[\\'}, {"n": 2, "l": [{"a": 1}, {"b": [{}]}]}, {"n": 3, "é": "ü"}]
_SHAPES = (
    "\n".join(map(json.dumps, _DOCUMENTS)),
    "".join(map(json.dumps, _DOCUMENTS)),
    "\n".join(json.dumps(document, indent=2) for document in _DOCUMENTS),
    json.dumps(_DOCUMENTS),
    json.dumps(_DOCUMENTS, indent=1),
)


def _damaged(draw: random.Random) -> bytes:
    content = b"\n".join(draw.choice(_SHAPES).encode() for _ in range(draw.randrange(1, 4)))
    for _ in range(draw.randrange(5)):
        start = draw.randrange(len(content) + 1)
        content = content[:start] + draw.choice(_PIECES) + content[start + draw.choice((0, 0, 1, 5, 40)) :]
    return content


def _items(content: bytes, *, limit: int, draw: random.Random | None = None) -> list[Item]:
    def blocks() -> Iterator[bytes]:
        at = 0
        while at < len(content):
            size = draw.choice((1, 2, 7, 30)) if draw else len(content)
            yield content[at : at + size]
            at += size

    return list(Splitter(Window(blocks(), restore=None), file="f", max_record_bytes=limit).items())


@pytest.mark.parametrize("seed", range(20))
def test_damage_loses_nothing_from_the_account_wherever_blocks_end(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(60):
        content, limit = _damaged(draw), draw.choice((60, 200, 1 << 20))

        items = _items(content, limit=limit)

        assert _items(content, limit=limit, draw=draw) == items, content
        end = 0
        for item in items:
            between = content[end : item.offset].replace(b"\xef\xbb\xbf", b"")
            assert not between.strip(b" \t\r\n,[]"), (content, items)
            assert item.line == 1 + content.count(b"\n", 0, item.offset)
            assert content.startswith(item.raw, item.offset)
            end = item.offset + (len(item.raw) if isinstance(item, RawRecord) else item.size_bytes)
        assert not content[end:].replace(b"\xef\xbb\xbf", b"").strip(b" \t\r\n,[]"), (content, items)
