"""JSON on stdout: one object a line, and nothing in it that moves a cursor."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from aurora.kernel.untrusted import clean

_BEYOND_BMP = re.compile("[\U000e0000-\U000e007f]")


def json_line(document: Mapping[str, Any]) -> str:
    r"""Return a document as one line of JSON.

    Controls, reordering and invisible characters are written as `\uXXXX`: the same value to a program,
    harmless to a terminal. What `clean` writes outside the Basic Multilingual Plane is not JSON, so those
    become surrogate pairs first.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return clean(_BEYOND_BMP.sub(lambda match: json.dumps(match.group())[1:-1], text))


def write_json(document: Mapping[str, Any]) -> None:
    """Write a document to stdout."""
    sys.stdout.write(json_line(document) + "\n")
