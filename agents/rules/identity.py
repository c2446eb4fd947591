"""Attacks on identities: credentials, tickets, sign-ins and mailboxes."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import named_by_product, sign, table
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

CREDENTIALS = table(
    sign(
        "dcsync|replication of directory services|dcshadow",
        "",
        11.0,
        "Directory replication by something that is no domain controller",
        "T1003.006",
    ),
    sign("golden ticket|golden saml|silver ticket|skeleton key|diamond ticket", "", 11.0, "A forged ticket", "T1558"),
    sign(
        "pass-the-ticket|pass the ticket|overpass-the-hash|overpass the hash|pass-the-hash|pass the hash"
        "|pass-the-certificate",
        "",
        9.0,
        "Stolen credential material was used",
        "T1550",
    ),
    sign("sid-history|sid history", "", 9.0, "Rights were added through SID history", "T1134.005"),
    sign("kerberoast|as-rep roast|asrep roast|as-rep", "", 9.0, "Tickets were collected to be cracked", "T1558"),
    sign(
        "lsass|ntds|sam database|sam hive|credential dump|credential theft|credential stealing|sekurlsa",
        "",
        9.0,
        "Credentials were read from memory or store",
        "T1003",
    ),
    sign(
        "primary refresh token|(prt)|token theft|adversary-in-the-middle|aitm|session hijack|session cookie"
        "|anomalous token",
        "",
        8.0,
        "A session token is at risk",
        "T1528",
    ),
    sign(
        "deceptive|honey|decoy|canary",
        r"deceptive|honey ?token|honeypot|\bdecoy|canary ?token",
        12.0,
        "A decoy was touched, which no honest work does",
    ),
    sign("sensitive file|/etc/shadow|private key", "", 5.0, "A file that holds credentials was read", "T1552"),
)

SIGN_INS = table(
    sign(
        "compromised",
        r"account compromised|compromised (user|account|identit|credential)",
        10.0,
        "The product calls the account compromised",
        "T1078",
    ),
    sign(
        "bec|business email compromise|financial fraud",
        r"\bbec\b|business email compromise|financial fraud",
        9.0,
        "Business e-mail compromise",
        "T1114",
    ),
    sign(
        "inbox manipulation|inbox rule|forwarding rule|inbox forwarding",
        "",
        7.0,
        "Mail rules that hide or forward mail",
        "T1564.008",
    ),
    sign(
        "mfa fatigue|mfa bombing|mfa spam|multi-factor authentication request",
        "",
        7.0,
        "A user is worn down by prompts",
        "T1621",
    ),
    sign("password spray|password-spray|passwordspray", "", 7.0, "Password spraying", "T1110.003"),
    sign("leaked credential|leakedcredential", "", 6.0, "The credentials are public", "T1589.001"),
    sign(
        "malicious ip|maliciousip|nationstateip|verified threat actor ip",
        "",
        6.0,
        "A sign-in from an address known for attacks",
        "T1078",
    ),
    sign(
        "anonymous ip|anonymousip|anonymizedip|tor ip|anonymizing", "", 4.0, "A sign-in through an anonymiser", "T1090"
    ),
    sign(
        "impossible travel|impossibletravel|atypical travel|unlikelytravel",
        "",
        3.0,
        "Two sign-ins farther apart than one can travel",
        "T1078",
    ),
    sign(
        "multiple failed|brute force|bruteforce|brute-force|authentication failures|password_guessing"
        "|password guessing",
        "",
        4.0,
        "Guessing of passwords",
        "T1110",
    ),
    sign(
        "after|following",
        r"(success\w*|logged in|log ?[io]n) (after|following) .{0,40}(fail|brute|spray)",
        9.0,
        "A sign-in succeeded after many failed",
        "T1110",
    ),
    sign(
        "unfamiliar sign-in|unfamiliarfeatures|new country|anomalous login|unusual login|consolelogin",
        "",
        2.0,
        "An unusual sign-in",
        "T1078",
    ),
    sign(
        "account creation|user account created|new user added|created account",
        "",
        3.0,
        "An account was created",
        "T1136",
    ),
    sign("rootcredentialusage|root account", "", 4.0, "The root account was used", "T1078.004"),
)


@rule(id="detection.credentials", version="1", title="Theft and abuse of credentials")
def credentials(view: TriageView) -> Iterator[Contribution]:
    """Recognise theft, forging and abuse of credentials in the product's words.

    Looks for: DCSync, forged tickets, pass-the-hash and -ticket, SID history, kerberoasting, reads of
    LSASS, NTDS and SAM, stolen tokens, touched decoys.

    Why: these are the steps between one machine and the whole domain, and hardly any honest work
    looks like them. A decoy has no honest user at all.

    Weights: +12 decoy, +11 DCSync and forged tickets, +9 material stolen or used, +8 tokens.

    Refuted by: an analyst (a penetration test, a decoy being installed). Domain controllers replicate
    with each other; products that name DCSync have that in view.
    """
    yield from named_by_product(view, CREDENTIALS, rule="detection.credentials")


@rule(id="detection.sign_in", version="1", title="Sign-ins and mailboxes")
def sign_in(view: TriageView) -> Iterator[Contribution]:
    """Recognise attacks through sign-ins and mailboxes in the product's words.

    Looks for: compromised accounts, fraud by mail, inbox rules, spraying, anonymisers, impossible travel.

    Why: what the identity provider says of a session is nothing the session's owner can write.

    Weights: +10 for an account called compromised, +9 for fraud or success after failures, +7 spraying
    and inbox rules, +3 impossible travel (company VPNs and phones make most of these), +2 unusual.

    Refuted by: known egress addresses, travel, analysts' verdicts.
    """
    yield from named_by_product(view, SIGN_INS, rule="detection.sign_in")
