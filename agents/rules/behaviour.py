"""What the product's own words say that happened."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import named_by_product, sign, table
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

STAGES = table(
    sign(
        "hands on keyboard|hands-on-keyboard|human-operated|human operated",
        "",
        9.0,
        "The product saw a person at work in the system",
    ),
    sign(
        "activity group|threat actor|nation|apt",
        r"activity group|threat actor|nation.state|\bapt ?-?\d+",
        9.0,
        "The product names an actor",
    ),
    sign("lateral movement|lateralmovement|lateral-movement", "", 6.0, "The product calls it lateral movement"),
    sign(
        "dropped and launched from remote|remote location|remotely launched",
        "",
        6.0,
        "A file came from another machine and ran",
        "T1570",
    ),
    sign(
        "remote activity|launched a command on a remote|remote service|remote command",
        "",
        5.0,
        "A command ran from another machine",
        "T1021",
    ),
    sign(
        "command|c2|cnc|beacon",
        r"command.?and.?control|\bc2\b|\bcnc\b|\bbeacon",
        8.0,
        "The product calls it command and control",
        "T1071",
    ),
    sign("exfiltrat", "", 7.0, "The product calls it exfiltration"),
    sign(
        "tunnel|dga|tor",
        r"dns.tunnel|\bdga\b|tor exit|tor relay|\bto tor\b",
        5.0,
        "Traffic of a kind that hides its partner",
        "T1090",
    ),
    sign(
        "injection|hollowing",
        r"(process|code|thread|dll|memory) ?(hollowing|injection)",
        5.0,
        "Code was put into another process",
        "T1055",
    ),
    sign(
        "reverse shell|reverse_shell|bind shell|web shell|webshell|shell spawned|spawned a shell|terminal shell",
        "",
        7.0,
        "The product saw a shell where none belongs",
        "T1059",
    ),
    sign(
        "privilege escalation|privilegeescalation|privilege-escalation|uac bypass|setuid",
        "",
        5.0,
        "The product calls it privilege escalation",
        "T1068",
    ),
    sign(
        "container escape|escape to host|release_agent|privileged container",
        "",
        7.0,
        "The product saw an escape from a container",
        "T1611",
    ),
    sign(
        "suspicious service|registered as a service|new service created|wmi process|wmi persistence|scheduled task",
        "",
        4.0,
        "Code was set to run through a system service",
        "T1543",
    ),
    sign("persistence", "", 4.0, "The product calls it persistence"),
    sign("credentialaccess|credential access|credential-access", "", 7.0, "The product calls it credential access"),
    sign("defenseevasion|defense evasion|defense-evasion|defenceevasion", "", 3.0, "The product calls it evasion"),
    sign("reconnaissance|discovery|enumeration|account lookups|exploration", "", 2.0, "The product calls it discovery"),
    sign("compromised", "", 5.0, "The product calls something compromised"),
)


@rule(id="detection.behaviour", version="1", title="Stage of an attack in the product's words")
def behaviour(view: TriageView) -> Iterator[Contribution]:
    """Read the stage of an attack from the rule's name and category.

    Looks for: stages in the name, category and tactic that the *product* wrote: hands-on-keyboard
    activity, lateral movement, command and control, exfiltration, injection, shells, services.

    Why: many products name the stage without an ATT&CK id, so the technique rule alone would be blind.

    Weights: +9 for a person at work or a named actor, +8 command and control, +7 exfiltration and
    shells, +6 lateral movement, +2 discovery; on the scale of the tactics in `detection.technique`.
    One theme with that rule: the stronger counts.

    Refuted by: analysts' verdicts; the product's later classification. Text that an adversary can
    write is not read here.
    """
    yield from named_by_product(view, STAGES, rule="detection.behaviour")
