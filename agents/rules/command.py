"""What a command line does."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import COMMANDS, sign, signs_in, table, texts
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

ATTACKS = table(
    sign(
        "lsass|comsvcs",
        r"comsvcs(\.dll)?[ ,\"']+(#?-?24|minidump)|(procdump|rundll32|taskmgr|out-minidump|createdump).{0,80}lsass"
        r"|lsass.{0,20}\.dmp",
        11.0,
        "Memory of LSASS is written to a file",
        "T1003.001",
    ),
    sign(
        "ntds|ntdsutil",
        r"ntdsutil.{0,60}(ifm|snapshot)|(copy|esentutl|vssadmin|diskshadow).{0,120}ntds\.dit",
        11.0,
        "The directory's database is copied",
        "T1003.003",
    ),
    sign(
        "reg",
        r"\breg(\.exe)?\"?\s+save\s+\"?(hklm|hkey_local_machine)\\(sam|security|system)\b",
        10.0,
        "Registry hives with password hashes are saved",
        "T1003.002",
    ),
    sign(
        "shadow",
        r"(vssadmin|diskshadow)(\.exe)?\"?\s+.{0,20}(delete|resize)\s+shadows?|shadowcopy.{0,40}delete"
        r"|win32_shadowcopy.{0,80}(delete|remove)|\bdelete\s+shadows\s+/",
        11.0,
        "Shadow copies are deleted",
        "T1490",
    ),
    sign(
        "bcdedit|wbadmin",
        r"bcdedit.{0,60}(recoveryenabled\s+no|ignoreallfailures)|wbadmin.{0,30}delete\s+(catalog|systemstatebackup)",
        10.0,
        "Recovery of the system is switched off",
        "T1490",
    ),
    sign(
        "wevtutil|clear-eventlog|auditpol|remove-eventlog",
        r"wevtutil(\.exe)?\"?\s+(cl|clear-log)|(clear|remove)-eventlog|auditpol.{0,30}(/clear|/success:disable)",
        9.0,
        "Logs are cleared",
        "T1685.005",
    ),
    sign(
        "mppreference|windefend|sense|disableantispyware|amsi|setenforce",
        r"set-mppreference.{0,80}-?disable|add-mppreference.{0,40}exclusion"
        r"|(sc|net1?|stop-service)(\.exe)?\s.{0,20}(windefend|sense\b)|disableantispyware|amsiinitfailed|amsiutils"
        r"|amsiscanbuffer|setenforce 0",
        9.0,
        "A defence is switched off",
        "T1685",
    ),
    sign(
        "addbsidhistory|sidhistory",
        r"add-addbsidhistory|-sidhistory",
        10.0,
        "Rights are added through SID history",
        "T1134.005",
    ),
    sign(
        "prttoken|roadtoken|browsercore",
        r"(get-?user)?prttoken|roadtoken|browsercore.{0,20}(getcookie|nonce)",
        8.0,
        "A primary refresh token is asked for",
        "T1528",
    ),
    sign(
        "/dev/|nc|netcat|mkfifo|pty.spawn|sock",
        r"/dev/(tcp|udp)/[\w.]+/\d|\b(nc|ncat|netcat)(\.exe)?\b.{0,60}\s-\w*[ec]\b|mkfifo.{0,60}\b(nc|ncat|sh|bash)\b"
        r"|pty\.spawn|import socket.{0,200}(subprocess|os\.dup2)|fsockopen.{0,80}(exec|sh)",
        11.0,
        "A shell is sent to another machine",
        "T1059.004",
    ),
    sign(
        "cron|ld_preload|authorized_keys|ld.so.preload",
        r"(echo|>>|tee).{0,200}(/etc/cron|authorized_keys|ld\.so\.preload)|crontab\s+-.{0,100}(curl|wget|/tmp/)"
        r"|ld_preload=/(tmp|dev/shm|var/tmp)",
        8.0,
        "Code is set to run again and again",
        "T1053.003",
    ),
    sign(
        "hist",
        r"(history -c|unset histfile|histfile=/dev/null|histsize=0|rm .{0,20}\.bash_history)",
        6.0,
        "The shell's history is removed",
        "T1070.003",
    ),
    sign(
        "/etc/shadow",
        r"(cat|cp|less|tail|head|grep|base64|scp)\b.{0,60}/etc/shadow",
        7.0,
        "Password hashes are read",
        "T1003.008",
    ),
    sign("xmrig|stratum+", r"xmrig|stratum\+(tcp|ssl)://", 9.0, "A coin miner runs", "T1496"),
    sign(
        "nsenter|release_agent|docker.sock",
        r"nsenter.{0,40}(-t 1|--target 1)|release_agent|docker\.sock.{0,80}(privileged|/containers)",
        8.0,
        "A container reaches for its host",
        "T1611",
    ),
)
DOWNLOADS = table(
    sign(
        "curl|wget|fetch",
        r"\b(curl|wget|fetch)\b[^|;&\n]{0,300}[|]\s*(sudo\s+)?(ba|z|da|k)?sh\b"
        r"|\b(ba)?sh\s+(-c\s+)?[\"']?\$?\(?<?\(?\s*(curl|wget)\b",
        8.0,
        "A script from the network runs at once",
        "T1059.004",
    ),
    sign(
        "downloadstring|downloadfile|downloaddata|webclient|invoke-webrequest|iwr|irm|start-bitstransfer|xmlhttp"
        "|invoke-restmethod",
        r"(iex|invoke-expression|\|\s*iex).{0,200}(downloadstring|iwr|irm|invoke-webrequest|invoke-restmethod"
        r"|webclient)|(downloadstring|iwr|irm|invoke-webrequest|invoke-restmethod|downloaddata).{0,300}(iex"
        r"|invoke-expression)",
        9.0,
        "PowerShell runs what it downloads",
        "T1059.001",
        "T1105",
    ),
    sign(
        "downloadstring|downloadfile|downloaddata|net.webclient|start-bitstransfer",
        "",
        6.0,
        "PowerShell downloads",
        "T1105",
    ),
    sign(
        "certutil",
        r"certutil(\.exe)?\"?\s.{0,60}[-/](urlcache|verifyctl|decode|decodehex)",
        8.0,
        "certutil fetches or decodes",
        "T1105",
    ),
    sign(
        "bitsadmin",
        r"bitsadmin(\.exe)?\"?\s.{0,40}/(transfer|addfile|setnotifycmdline)",
        7.0,
        "bitsadmin fetches",
        "T1197",
    ),
)
PROXIES = table(
    sign(
        "mshta",
        r"mshta(\.exe)?\"?\s+.{0,10}(https?:|javascript:|vbscript:|\\\\)",
        9.0,
        "mshta runs a script",
        "T1218.005",
    ),
    sign(
        "regsvr32",
        r"regsvr32(\.exe)?\"?\s.{0,60}(/i:\s*https?:|scrobj|\\\\)",
        9.0,
        "regsvr32 runs a script",
        "T1218.010",
    ),
    sign(
        "rundll32",
        r"rundll32(\.exe)?\"?\s+.{0,80}(javascript:|https?:|\\appdata\\|\\temp\\|\\programdata\\|\\users\\public\\"
        r"|url\.dll|advpack|pcwutl)",
        7.0,
        "rundll32 runs what it should not",
        "T1218.011",
    ),
    sign(
        "wmic|invoke-wmimethod|invoke-cimmethod",
        r"wmic(\.exe)?\"?\s.{0,80}(/node:|process\s+call\s+create)|invoke-(wmi|cim)method.{0,80}create",
        6.0,
        "A process is started through WMI",
        "T1047",
    ),
    sign("msiexec", r"msiexec(\.exe)?\"?\s.{0,30}https?://", 6.0, "msiexec installs from the network", "T1218.007"),
    sign(
        "installutil|msbuild|cmstp|regasm|regsvcs",
        r"\b(installutil|msbuild|cmstp|regasm|regsvcs)(\.exe)?\"?\s.{0,80}(\\appdata\\|\\temp\\|\\users\\public\\"
        r"|\\programdata\\)",
        6.0,
        "A build or install tool runs code",
        "T1127",
    ),
    sign(
        "schtasks|register-scheduledtask",
        r"schtasks(\.exe)?\"?\s.{0,20}/create.{0,200}(/s\s|powershell|\\appdata\\|\\temp\\|\\public\\|https?:"
        r"|/ru\s+\"?system)",
        6.0,
        "A scheduled task is made",
        "T1053.005",
    ),
    sign(
        "create|new-service",
        r"\bsc(\.exe)?\"?\s+(\\\\\S+\s+)?create\b|new-service\s",
        5.0,
        "A service is made",
        "T1543.003",
    ),
    sign(
        r"currentversion\run|currentversion/run",
        r"(reg(\.exe)?\"?\s+add|new-itemproperty|set-itemproperty).{0,120}currentversion\\run",
        6.0,
        "A program is set to start at logon",
        "T1547.001",
    ),
    sign(
        "net",
        r"\bnet1?(\.exe)?\"?\s+(user\s.{0,80}/add|(local)?group\s.{0,80}(admin|remote desktop).{0,60}/add)",
        6.0,
        "An account is made or put into a group of administrators",
        "T1136",
    ),
    sign(
        "psexec|psexesvc|paexec",
        r"psexec(64)?(\.exe)?\"?\s+.{0,20}\\\\\S+",
        5.0,
        "A command runs on another machine",
        "T1569.002",
    ),
    sign(
        "net",
        r"\bnet1?(\.exe)?\"?\s+stop\s+\"?(ntds|vss|sql\w*|veeam\w*|msexchange\w*|backup\w*)",
        7.0,
        "A service that protects or holds data is stopped",
        "T1489",
    ),
)
LOOKING_AROUND = table(
    sign(
        "net|nltest|dsquery|get-ad",
        r"\bnet1?(\.exe)?\"?\s+(group|localgroup)\s+\"?(domain admins|enterprise admins|administrators|/domain)"
        r"|\bnet1?(\.exe)?\"?\s+user\s+(\S+\s+)?/domain|nltest.{0,20}/(dclist|domain_trusts)|\bdsquery\s"
        r"|get-ad(user|group|computer)\s.{0,40}filter",
        6.0,
        "Accounts and groups of the domain are listed",
        "T1087.002",
        "T1069.002",
    ),
    sign(
        "whoami|systeminfo|quser|qwinsta",
        r"whoami(\.exe)?\"?\s+/(priv|groups|all)|\b(systeminfo|quser|qwinsta)\b",
        3.0,
        "Somebody finds out where he is",
        "T1033",
    ),
    sign(
        "bypass|unrestricted|hidden|-nop",
        r"-(ep|exec|executionpolicy)\s+(bypass|unrestricted)|-w(in|indowstyle)?\s+hidden|-nop\b",
        3.0,
        "PowerShell is told to be quiet or to skip its policy",
        "T1059.001",
    ),
)


@rule(id="command.attack", version="1", title="Commands of an attack")
def attack(view: TriageView) -> Iterator[Contribution]:
    """Look for commands that take credentials, destroy recovery, blind defences or open a shell outwards.

    Why: these commands are short, public, and hardly ever honest: LSASS dumps, copies of NTDS and SAM,
    deleted shadow copies, cleared logs, Defender switched off, reverse shells.

    Weights: +11 LSASS, NTDS, shadow copies, reverse shells; +10 hives, recovery, SID history; +9 logs,
    defences, miners; +8 to +6 the rest. A command line proves what was *asked*, not that it worked.

    Refuted by: backup software on its own schedule, an analyst. Nothing else in the text refutes it.
    """
    yield from signs_in(texts(view, *COMMANDS), ATTACKS, rule="command.attack")


@rule(id="command.living_off_the_land", version="1", title="System tools used for attacks")
def living_off_the_land(view: TriageView) -> Iterator[Contribution]:
    """Look for system tools that fetch, decode, or run code for somebody else.

    Why: certutil, bitsadmin, mshta, regsvr32, rundll32, WMI and schtasks need no malware on disk.
    Installers and administrators use some of them, so the options decide, not the program.

    Weights: +9 running what was downloaded, mshta and regsvr32 with a script, +8 certutil and
    `curl | sh`, +7 to +5 the others.

    Refuted by: software distribution (same command on many machines): an analyst's verdict.
    """
    commands = texts(view, *COMMANDS)
    yield from signs_in(commands, DOWNLOADS, rule="command.living_off_the_land")
    yield from signs_in(commands, PROXIES, rule="command.living_off_the_land")


@rule(id="command.discovery", version="1", title="Commands that look around")
def discovery(view: TriageView) -> Iterator[Contribution]:
    """Look for listing of domain accounts and groups, and for PowerShell told to skip its policy.

    Why: an attacker who has just arrived asks who and where he is; so does a help desk.

    Weights: +6 domain groups and trusts, +3 own rights and policy switches.

    Refuted by: inventory and log-on scripts.
    """
    yield from signs_in(texts(view, *COMMANDS), LOOKING_AROUND, rule="command.discovery")
