"""Mail that lures, and whether it was taken away in time."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import by_product, claim, named_by_product, sign, table, texts
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

LURES = table(
    sign(
        "url click|accessed link|clicked|opened",
        r"url click|accessed link|clicked|opened .{0,12}attachment",
        6.5,
        "Somebody followed the lure",
        "T1566.002",
    ),
    sign("phish", "", 6.0, "The product calls it phishing", "T1566"),
    sign(
        "malicious url|malicious link|malicious file|malicious attachment|malicious email|malware campaign",
        "",
        6.0,
        "The product calls the content of a message malicious",
        "T1566",
    ),
    sign(
        "emails sent by bec|suspicious emails sent|mass email|unusual volume of",
        "",
        7.0,
        "Mail goes out that the owner did not write",
        "T1586",
    ),
    sign("user-reported|reported by user|reported as", "", 2.0, "A person found the mail suspicious", "T1566"),
)
_TAKEN_AWAY = sign(
    "removed after delivery|zapped|zap-quarantined|quarantined email|prevented delivery|blocked delivery|mail blocked",
    "",
    -2.0,
    "The mail was taken away",
)


@rule(id="detection.phishing", version="1", title="Phishing")
def phishing(view: TriageView) -> Iterator[Contribution]:
    """Recognise lures in the product's words, and whether somebody followed them.

    Looks for: phishing, malicious links and attachments, clicks; mail that leaves a mailbox unbidden.

    Why: a lure is a daily event; a click is not.

    Weights: +7 mail sent by a stolen mailbox, +6.5 a click, +6 a lure, +2 a user's report.

    Refuted by: removal before anybody looked (`state.mail_removed`), an analyst, phishing simulations (warning list).
    """
    yield from named_by_product(view, LURES, rule="detection.phishing")


@rule(id="state.mail_removed", version="1", title="Mail taken away after delivery")
def mail_removed(view: TriageView) -> Iterator[Contribution]:
    """Lower a little where the product itself removed the mail.

    Why: the lure is gone, yet it was delivered: whoever opened it in between is still to be found.

    Weight: -2. Contained is not the same as harmless, so this never closes an alert.

    Refuted by: a click (`detection.phishing`).
    """
    for text in by_product(texts(view, "rule.name")):
        if match := _TAKEN_AWAY.pattern.search(text.lower):
            yield Contribution(
                rule="state.mail_removed",
                weight=_TAKEN_AWAY.weight,
                claim=claim(f"{_TAKEN_AWAY.what}: {quoted(match.group())}", text.evidence.id),
            )
