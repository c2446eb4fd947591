"""Ransomware, destruction and blinded defences."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import named_by_product, sign, table
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

HARM = table(
    sign("ransom", r"ransom", 11.0, "The product calls it ransomware", "T1486"),
    sign("wiper|data destruction|mass deletion|disk wipe", "", 11.0, "Data is destroyed", "T1485"),
    sign(
        "backups were deleted|shadow cop|backup deletion|recovery setting|inhibit system recovery|volume shadow",
        "",
        10.0,
        "Recovery is made impossible",
        "T1490",
    ),
    sign(
        "coin miner|coinminer|cryptominer|crypto miner|cryptocurrency|cryptomining|xmrig|bitcointool",
        "",
        7.0,
        "The machine is used for mining",
        "T1496",
    ),
    sign("deface|denial of service", "", 4.0, "A service is spoiled or stopped", "T1498"),
    sign("stopping services|service stop", "", 4.0, "Services were stopped", "T1489"),
)
BLINDED = table(
    sign(
        "tamper|disabl|stopp|turned off",
        r"(antivirus|defender|protection|sensor|security|edr|agent).{0,40}(tamper|disabl|stopp|turned off)"
        r"|tamper\w* .{0,30}(antivirus|defender|protection|sensor)",
        9.0,
        "A defence was switched off",
        "T1685",
    ),
    sign("clear", r"(audit|event|security)? ?logs? (was |were )?clear", 7.0, "Logs were cleared", "T1685.005"),
    sign(
        "cloudtrail|guardduty",
        r"(cloudtrail|guardduty).{0,30}(disabl|delet|stopp)",
        8.0,
        "Cloud logging was switched off",
        "T1685",
    ),
)


@rule(id="detection.impact", version="1", title="Ransomware and destruction")
def impact(view: TriageView) -> Iterator[Contribution]:
    """Recognise ransomware, destruction, inhibited recovery and mining in the product's words.

    Looks for: those words in the rule's name, category and threat name, not in descriptions, which
    mention ransomware wherever it is imaginable.

    Why: these are goals, not means; where they are seen, minutes count.

    Weights: +11 ransomware and wipers, +10 recovery inhibited, +7 mining. High severity alone then
    reaches `malicious`.

    Refuted by: backup rotation (deletes *old* copies by policy), disk encryption rolled out by IT:
    an analyst's verdict on the same fingerprint.
    """
    yield from named_by_product(view, HARM, rule="detection.impact")


@rule(id="detection.impairment", version="1", title="Defences blinded")
def impairment(view: TriageView) -> Iterator[Contribution]:
    """Recognise defences and logs that were switched off, in the product's words.

    Why: an attacker blinds first. Administrators do it too, but through management tools that
    products know and leave out.

    Weights: +9 protection off, +8 cloud logging off, +7 logs cleared.

    Refuted by: a change that an analyst confirms.
    """
    yield from named_by_product(view, BLINDED, rule="detection.impairment")
