"""Known attack tools and malware, weighed by who wrote the name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agents.rules._reading import COMMANDS, FILES, Sign, claim, named_by_product, sign, signs_in, table, texts
from aurora.kernel.evidence import Provenance
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView

MALWARE = table(
    sign("ransom", r"\bransom(ware)?[:./]|[:/]\w*ransom", 13.0, "The product names ransomware", "T1486"),
    sign(
        "behavior:|backdoor|hack|virtool|rootkit|stealer|password stealer|pws:|keylogger|spyware|banker",
        r"behavior:|\bbackdoor|hack-?tool|virtool|rootkit|info-?stealer|password stealer|pws:|keylogger|spyware"
        r"|\bbanker",
        12.0,
        "The product names malware of a dangerous kind",
    ),
    sign(
        "malware|trojan|worm|botnet|dropper|loader|checkin|rat",
        r"active .{0,20}malware|malware .{0,25}(was|is) active|malware (was )?(running|executed)"
        r"|malware.{0,30}lateral",
        12.0,
        "The product found malware at work",
    ),
    sign(
        "malware|trojan|worm|botnet|dropper|loader|virus",
        r"(?!^malware$)malware|\btrojan|\bworm\b|botnet|\bdropper|\bloader\b|\bvirus\b",
        10.0,
        "The product names malware",
    ),
    sign(
        "pua|adware|potentially unwanted|riskware|bundler",
        r"\bpua\b|adware|potentially unwanted|riskware|bundler",
        3.0,
        "The product names unwanted software",
    ),
    sign("exploit:|exploit.", r"\bexploit[:.]\w", 10.0, "The product names an exploit", "T1203"),
)

OFFENSIVE = (
    "adrecon",
    "atexec",
    "azurehound",
    "bloodhound",
    "brute ratel",
    "bruteratel",
    "certify.exe",
    "certipy",
    "cobalt strike",
    "cobaltstrike",
    "crackmapexec",
    "dumpert",
    "evil-winrm",
    "fgdump",
    "godpotato",
    "gsecdump",
    "handlekatz",
    "impacket",
    "inveigh",
    "invoke-bloodhound",
    "invoke-kerberoast",
    "invoke-mimikatz",
    "invoke-smbexec",
    "invoke-wmiexec",
    "juicypotato",
    "kekeo",
    "kerbrute",
    "koadic",
    "lazagne",
    "linenum",
    "linpeas",
    "metasploit",
    "meterpreter",
    "mikatz",
    "mimikatz",
    "nanodump",
    "netexec",
    "ntlmrelayx",
    "petitpotam",
    "poshc2",
    "powersploit",
    "powerup",
    "powerview",
    "printspoofer",
    "pwdump",
    "pypykatz",
    "rubeus",
    "safetykatz",
    "seatbelt",
    "secretsdump",
    "sharphound",
    "sharpkatz",
    "sharpup",
    "sliver-client",
    "sliver-server",
    "smbexec",
    "spoolsample",
    "sweetpotato",
    "whisker.exe",
    "winpeas",
    "wmiexec",
)
"""Made for attacks and penetration tests; ours, short, to be read beside ATT&CK's list."""

DUAL_USE = (
    "adfind",
    "advanced_ip_scanner",
    "anydesk",
    "atera",
    "chisel",
    "dual-purpose tool",
    "gobuster",
    "hashcat",
    "hydra",
    "masscan",
    "megasync",
    "netcat",
    "netscan",
    "ngrok",
    "nikto",
    "nltest",
    "nmap",
    "nuclei",
    "paexec",
    "plink",
    "procdump",
    "psexec",
    "psexesvc",
    "rclone",
    "responder.py",
    "screenconnect",
    "socat",
    "sqlmap",
    "winexe",
    "wpscan",
)
"""Administrators use them, attackers too."""


def _names(names: tuple[str, ...], weight: float, what: str) -> Sign:
    ordered = sorted(names, key=len, reverse=True)
    words = "|".join(map(re.escape, ordered))
    return sign("|".join(names), rf"(?<![a-z0-9])(?:{words})(?![a-z])", weight, what)


TOOLS = table(
    _names(OFFENSIVE, 14.0, "A tool that is made for attacks"),
    _names(DUAL_USE, 5.0, "A tool that administrators use, and attackers too"),
)
OWN_COMMANDS = table(
    sign(
        "::", r"\b(sekurlsa|lsadump|kerberos|crypto|dpapi|privilege|token)::\w+", 12.0, "A command of Mimikatz", "T1003"
    ),
    sign(
        "asreproast|kerberoast|s4u|asktg|tgtdeleg|dump /",
        r"(asreproast|kerberoast|\bs4u |asktgt|asktgs|tgtdeleg|dump /(service|luid|user))",
        11.0,
        "A command of a Kerberos attack tool",
        "T1558",
    ),
    sign(
        "collectionmethod|--zipfilename",
        r"-?-collectionmethods? |--zipfilename",
        9.0,
        "A command of SharpHound",
        "T1087.002",
    ),
    sign(
        "-target-ip|-just-dc|-hashes",
        r"-just-dc|-target-ip|-hashes [0-9a-f:]{16,}",
        9.0,
        "Options of Impacket",
        "T1003.006",
    ),
)


@rule(id="detection.threat", version="1", title="Malware and tools that the product names")
def threat(view: TriageView) -> Iterator[Contribution]:
    """Read the name of the threat where the product wrote it: threat name, rule name, category.

    Looks for: names of offensive tools, classes in threat names (`HackTool:`, `Ransom:`, `Behavior:`,
    `Trojan`), malware at work.

    Why: antivirus and network signatures for a named tool are among the most precise there are, even
    where the product rates them low because it removed the file: the file came from somewhere.

    Weights: +14 offensive tools, +13 ransomware, +12 dangerous classes and malware at work, +10 other
    malware and exploits, +5 tools of both uses, +3 unwanted software.

    Refuted by: `noise.test_file` (EICAR), analysts' verdicts, a penetration test known to them.
    """
    yield from named_by_product(view, TOOLS, rule="detection.threat")
    yield from named_by_product(view, MALWARE, rule="detection.threat")


@rule(id="detection.software", version="1", title="Software that ATT&CK knows")
def software(view: TriageView) -> Iterator[Contribution]:
    """Weigh attack software of ATT&CK's list that the alert names.

    Looks for: `software` findings. Those from the product's own text count in full; those from text
    that an adversary may have written (a mail's subject, a path) count little: anybody can write a name.

    Why: ATT&CK lists what was seen in real intrusions. Its tools are honest ones too, and programs of
    the operating system are left out.

    Weights: from the product's text, malware +9, tool +4; from elsewhere, malware +3, tool +1.

    Refuted by: homonyms (names of software are common words at times; events of the Suricata engine
    name no software at all), analysts' verdicts.
    """
    engine = str.__str__(view.alert.title).lower().startswith("suricata ")  # protocol words: SYNACK is no SynAck
    for each in view.found("software"):
        if each.attributes.get("built_in") == "true" or (each.attributes.get("field") == "rule.name" and engine):
            continue
        malware = each.attributes.get("software_kind") == "malware"
        told = each.provenance is not Provenance.ATTACKER_WRITABLE
        weight = (9.0 if malware else 4.0) if told else (3.0 if malware else 1.0)
        yield Contribution(
            rule="detection.software",
            weight=weight,
            claim=claim(
                f"ATT&CK knows {quoted(each.attributes.get('name', ''), limit=60)} as "
                f"{'malware' if malware else 'a tool of adversaries'}",
                each.id,
            ),
        )


@rule(id="command.tool", version="1", title="Attack tools among programs and command lines")
def tool(view: TriageView) -> Iterator[Contribution]:
    """Look for attack tools in what ran: program, file, command line, and their own commands.

    Looks for: names of tools, and commands that only one tool has (`sekurlsa::`, `lsadump::`), which
    survive renaming.

    Why: the name is the attacker's to choose, so its absence proves nothing; its presence is seldom chance.

    Weights: the tool's own commands +12; an offensive tool's name +8 (six tenths of what it weighs in a
    product's words, because anybody may name a file so), a tool of both uses +3.

    Refuted by: files *about* tools (rules, documentation, antivirus definitions), penetration tests.
    """
    ran = texts(view, *COMMANDS, *FILES)
    yield from signs_in(ran, OWN_COMMANDS, rule="command.tool")
    yield from signs_in(ran, TOOLS, rule="command.tool", share=0.6)
