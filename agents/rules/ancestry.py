"""Which program started which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agents.rules._reading import Text, claim, texts
from aurora.kernel.models.verdict import Contribution
from aurora.kernel.untrusted import quoted
from aurora.sdk import rule
from aurora.sdk.view import TriageView


@dataclass(frozen=True, slots=True)
class Pair:
    """A parent that does not start such a child."""

    parent: re.Pattern[str]
    child: re.Pattern[str]
    weight: float
    what: str
    technique: str


_SHELLS = r"powershell|pwsh|cmd|wscript|cscript|mshta|rundll32|regsvr32|certutil|bitsadmin|wmic|sh|bash|zsh|dash"


def _pair(parent: str, child: str, weight: float, what: str, technique: str) -> Pair:
    return Pair(
        re.compile(rf"^(?:{parent})(?:\.exe)?$"), re.compile(rf"^(?:{child})(?:\.exe)?$"), weight, what, technique
    )


PAIRS = (
    _pair(
        "winword|excel|powerpnt|outlook|onenote|msaccess|mspub|eqnedt32|acrord32|acrobat|hwp|soffice\\.bin",
        _SHELLS,
        9.0,
        "A program for documents started a shell",
        "T1204.002",
    ),
    _pair(
        "w3wp|httpd|apache2?|nginx|tomcat\\d*|php-fpm[\\d.]*|php-cgi|umworkerprocess|node|gunicorn|uwsgi|catalina",
        _SHELLS,
        8.0,
        "A web server started a shell",
        "T1505.003",
    ),
    _pair("sqlservr|mysqld|postgres|oracle|redis-server|mongod", _SHELLS, 9.0, "A database started a shell", "T1190"),
    _pair(
        "wmiprvse", "powershell|pwsh|cmd|mshta|rundll32|regsvr32|wscript|cscript", 5.0, "WMI started a shell", "T1047"
    ),
    _pair("wsmprovhost|winrshost", _SHELLS, 4.0, "A remote session started a shell", "T1021.006"),
    _pair("psexesvc|paexec", r"[\w.-]+", 5.0, "A program runs for another machine", "T1569.002"),
    _pair(
        "mshta|wscript|cscript|regsvr32", "powershell|pwsh|cmd|rundll32", 7.0, "A script host started a shell", "T1059"
    ),
    _pair("lsass|spoolsv|dns|winlogon", "powershell|pwsh|cmd", 8.0, "A system service started a shell", "T1068"),
    _pair(
        "chrome|msedge|firefox|teams",
        "powershell|pwsh|wscript|cscript|mshta",
        6.0,
        "A browser started a script",
        "T1204",
    ),
)
_CHILD = ("process.executable", "process.name")
_PARENT = ("process.parent.executable", "process.parent.name")


@rule(id="ancestry.parent", version="1", title="Parents and children that do not belong together")
def parent(view: TriageView) -> Iterator[Contribution]:
    """Look for shells and script hosts started by documents, web servers, databases and services.

    Looks for: pairs that the record itself ties together: the only parent and the only child, or both
    in the same part of the record.

    Why: who started a process is told by the kernel, not by a name in a command line.

    Weights: +9 documents and databases, +8 web servers and system services, +7 script hosts, +5 WMI and
    PsExec (administrators use both).

    Refuted by: add-ins and management agents of one's own: an analyst's verdict.
    """
    parents, children = texts(view, *_PARENT), texts(view, *_CHILD)
    alone = len({_base(text.lower) for text in parents}) == 1 and len({_base(text.lower) for text in children}) == 1
    seen: set[tuple[str, str]] = set()
    for above in parents:
        for below in children:
            names = _base(above.lower), _base(below.lower)
            if names in seen or not (alone or _same_part(above, below)):
                continue
            for each in PAIRS:
                if each.parent.match(names[0]) and each.child.match(names[1]):
                    seen.add(names)
                    yield Contribution(
                        rule="ancestry.parent",
                        weight=each.weight,
                        techniques=(each.technique,),
                        claim=claim(
                            f"{each.what}: {quoted(names[0], limit=40)} → {quoted(names[1], limit=40)}",
                            above.evidence.id,
                            below.evidence.id,
                        ),
                    )


def _base(path: str) -> str:
    return re.split(r"[\\/]", path.strip().strip('"'))[-1]


def _same_part(above: Text, below: Text) -> bool:
    """Whether both values stand under the same item of the record: `/Entities/7/…`."""
    first, second = ((text.evidence.source or "").split("/")[1:3] for text in (above, below))
    return len(first) == 2 and first == second
