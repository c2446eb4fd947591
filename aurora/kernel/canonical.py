"""One spelling for every JSON value, so that equal values have equal bytes and equal hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> bytes:
    r"""Return a JSON value as ASCII: keys sorted, no blanks, everything else as `\uXXXX`, lone surrogates too.

    Raises:
        TypeError: it holds what JSON does not know.
        ValueError: it holds NaN or an infinity, or contains itself.
    """
    return _ENCODER.encode(value).encode("ascii")


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
