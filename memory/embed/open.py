"""Which embedder a memory uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aurora.kernel.errors import ConfigError
from memory.embed.hashing import HashingEmbedder

_HASHING = re.compile(r"hashing-([0-9]{2,4})@1")
_HASHING_DIMENSIONS = (64, 128, 256, 512, 1024, 2048, 4096)

if TYPE_CHECKING:
    from memory.ports import Embedder


def open_embedder(name: str = "auto") -> Embedder:
    """Return the embedder of that name. Loads nothing yet: the first `embed` does.

    Args:
        name: `minilm` (needs the extra `embed`), `hashing`, or `auto`: MiniLM where it is installed, else hashing.

    Raises:
        MissingExtra: `minilm` is asked for and not installed; the message has the command.
        ConfigError: there is no embedder of that name.
    """
    if name == "hashing":
        return HashingEmbedder()
    if name in {"auto", "minilm"}:
        from memory.embed.minilm import MiniLmEmbedder, is_installed  # noqa: PLC0415 - only where asked for

        if name == "minilm" or is_installed():
            return MiniLmEmbedder()
        return HashingEmbedder()
    raise ConfigError(f"embedder {name!r} is unknown; use auto, minilm or hashing", embedder=name)


def reopen_embedder(name: str) -> Embedder | None:
    """Return the embedder that once wrote its name beside vectors; `None`: it is not to be had here."""
    if (hashed := _HASHING.fullmatch(name)) and (dimensions := int(hashed[1])) in _HASHING_DIMENSIONS:
        return HashingEmbedder(dimensions=dimensions)
    from memory.embed.minilm import NAME, MiniLmEmbedder, is_installed  # noqa: PLC0415 - only where asked for

    return MiniLmEmbedder() if name == NAME and is_installed() else None
