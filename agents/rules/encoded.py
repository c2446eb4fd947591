"""Encoded and disguised command lines: decoded, and read."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from agents.rules._reading import COMMANDS, REQUESTS, Text, claim, sign, signs_in, table, texts
from agents.rules.command import ATTACKS, DOWNLOADS, LOOKING_AROUND, PROXIES
from agents.rules.threat import OWN_COMMANDS, TOOLS
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_OPTION = re.compile(
    r"(?:powershell|pwsh)[^\n]{0,400}?\s[-/\u2013\u2014](?:e|ec|enc|enco|encod|encode|encoded"
    r"|encodedc\w*)[\s:\"']+([A-Za-z0-9+/=]{16,})",
    re.IGNORECASE,
)
_ANY = re.compile(
    r"(?:frombase64string\(\s*[\"']|base64[^\n|]{0,20}<<<\s*[\"']?"
    r"|echo\s+(?:-n\s+)?[\"']?)([A-Za-z0-9+/=]{16,})",
    re.IGNORECASE,
)
_DEPTH = 3  # layers; deeper nesting was not seen in public samples
_SHOWN = 90

DISGUISES = table(
    sign(
        "base64|openssl",
        r"base64\s+(-d|--decode|-di)\b.{0,40}\|\s*(sudo\s+)?(ba|z|da)?sh\b"
        r"|openssl\s+(enc\s+-)?base64\s+-d.{0,40}\|\s*(ba)?sh",
        9.0,
        "Decoded text goes straight into a shell",
        "T1140",
        "T1059.004",
    ),
    sign("frombase64string", "", 5.0, "A script decodes base64", "T1140"),
    sign("^", r"(\w\^){4,}|(\^\w){4,}", 6.0, "Carets break up the words of the command", "T1027.010"),
    sign("`", r"([a-z]`[a-z]+){3,}", 6.0, "Backticks break up the words of the command", "T1027.010"),
    sign("+", r"(['\"]\s*\+\s*['\"]\w{1,6}){4,}", 5.0, "The command is put together from pieces", "T1027.010"),
    sign(
        "[char]|-bxor|-join",
        r"(\[char\]\s*\(?\d{2,3}\)?\s*[+,]\s*){3,}|-bxor\s*(0x)?\d",
        7.0,
        "The command is computed",
        "T1027.010",
    ),
    sign(
        "gzipstream|deflatestream",
        r"(gzip|deflate)stream.{0,200}(frombase64|readtoend)|frombase64.{0,200}(gzip|deflate)stream",
        7.0,
        "A script unpacks itself",
        "T1140",
    ),
)


@rule(id="command.encoded", version="1", title="Encoded commands")
def encoded(view: TriageView) -> Iterator[Contribution]:
    """Decode PowerShell's `-EncodedCommand` and other base64, and look for attacks in the plain text.

    Looks for: the encoded option in any of its abbreviations, `FromBase64String`, `echo … | base64 -d`.
    Up to three layers are decoded; the text inside meets the same tables as a plain command line.

    Why: encoding hides a command from people and from naive filters. Management agents encode as well,
    so that by itself is weak; what is inside decides.

    Weights: +5 encoded; what is inside weighs two more than in the open, because it was hidden: +8 for
    looking around up to +13 for a credential dump. One theme with `command.attack`: counted once.

    Refuted by: known software distribution (analyst's verdict). Text inside that claims to be harmless
    refutes nothing.
    """
    for text in texts(view, *COMMANDS, "http.request.body.content", "url.query"):
        raw = text.evidence.attributes["value"]
        for plain in _layers(raw):
            where = Text(text.evidence, plain)
            yield Contribution(
                rule="command.encoded",
                weight=5.0,
                techniques=("T1027.010",),
                claim=claim(f"An encoded command, which reads {quoted(plain, limit=_SHOWN)}", text.evidence.id),
            )
            for signs in (OWN_COMMANDS, TOOLS, ATTACKS, DOWNLOADS, PROXIES, LOOKING_AROUND, DISGUISES):
                for found in signs_in([where], signs, rule="command.encoded"):
                    yield found.model_copy(update={"weight": found.weight + 2.0})


@rule(id="command.disguised", version="1", title="Disguised commands")
def disguised(view: TriageView) -> Iterator[Contribution]:
    """Look for commands written so that nobody reads them: carets, backticks, pieces, computed letters.

    Why: there is hardly an honest reason to break up a word in a command.

    Weights: +9 decoded text into a shell, +7 computed or packed, +6 carets and backticks, +5 pieces and base64.

    Refuted by: minified scripts of known products (analyst's verdict).
    """
    yield from signs_in(texts(view, *COMMANDS, *REQUESTS), DISGUISES, rule="command.disguised")


def decoded(payload: str) -> str | None:
    """Return the text inside base64, UTF-16LE as PowerShell writes it or UTF-8; `None` if it is no text."""
    usable = payload.rstrip("=")
    usable = usable[: len(usable) - (len(usable) % 4 == 1)]
    try:
        data = base64.b64decode(usable + "=" * (-len(usable) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    wide = data[1::2].count(0) * 4 > len(data)  # every second byte of Latin UTF-16 is zero
    text = data[: len(data) // 2 * 2].decode("utf-16-le", "replace") if wide else data.decode("utf-8", "replace")
    readable = sum(char.isprintable() or char in "\r\n\t" for char in text)
    return text if text and readable >= 0.9 * len(text) and text.count("\ufffd") * 20 <= len(text) else None


def _layers(text: str) -> Iterator[str]:
    """Yield the plain text of every layer, the outermost first."""
    pending, depth = [text], 0
    while pending and depth < _DEPTH:
        found = [match.group(1) for each in pending for pattern in (_OPTION, _ANY) for match in pattern.finditer(each)]
        pending = [plain for payload in dict.fromkeys(found) if (plain := decoded(payload)) is not None]
        yield from pending
        depth += 1
