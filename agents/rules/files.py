"""Names and places of files and programs."""

from __future__ import annotations

from collections.abc import Iterator

from agents.rules._reading import FILES, sign, signs_in, table, texts
from aurora.kernel.models.verdict import Contribution
from aurora.sdk import rule
from aurora.sdk.view import TriageView

_RUNS = "exe|scr|com|pif|bat|cmd|vbs|vbe|js|jse|wsf|hta|lnk|ps1|dll|msi|iso|img"
_READS = "pdf|docx?|xlsx?|pptx?|rtf|txt|jpe?g|png|gif|mp[34]|zip|html?"

_SYSTEM = "svchost|lsass|csrss|winlogon|services|smss|wininit|spoolsv|taskhostw|explorer|rundll32|conhost|dllhost"
_HOMES = "system32|syswow64|winsxs|sysnative|servicing|windows"

NAMES = table(
    sign(".", rf"\.({_READS})\s*\.({_RUNS})$", 8.0, "A program that looks like a document", "T1036.007"),
    sign("\u202e", "", 9.0, "A name that reverses its own ending", "T1036.002"),
    sign(
        _SYSTEM,
        rf"^(?=.*[\\/])(?!.*[\\/]({_HOMES})[\\/][^\\/]*$)(?!.*[\\/](winsxs|softwaredistribution)[\\/])"
        rf".*[\\/]({_SYSTEM})\.exe$",
        9.0,
        "The name of a system program in another folder",
        "T1036.005",
    ),
    sign(
        "svch0st|scvhost|svhost|lsas.exe|1sass|isass|cssrs|crss.exe|explore.exe|expl0rer|winlog0n",
        "",
        9.0,
        "A name that nearly is that of a system program",
        "T1036.005",
    ),
    sign(
        ".encrypted|.locked|.lockbit|.conti|.ryuk|.wncry|.blackcat|decrypt|recover",
        r"\.(encrypted|locked|lockbit|conti|ryuk|wncry|blackcat)$|(readme|how).{0,4}to.{0,4}decrypt"
        r"|decrypt.instructions|recover.files",
        9.0,
        "The mark that ransomware leaves",
        "T1486",
    ),
)
PLACES = table(
    sign(
        "temp|tmp|shm|public|perflogs|recycle|debug",
        rf"(\\(users\\public|perflogs|\$recycle\.bin|windows\\debug|temp)\\[^\\]+\.({_RUNS})$"
        r"|^/(tmp|var/tmp|dev/shm)/[^/]*(/[^/]+)?$)",
        4.0,
        "It lies where anybody may write",
        "T1036",
    ),
    sign(
        "appdata|downloads|programdata",
        rf"\\(appdata\\(local|roaming|locallow)(\\temp)?|downloads|programdata)(\\[^\\]+)?(\\[^\\]+)?\.({_RUNS})$",
        3.0,
        "It lies in a folder of the user's own",
        "T1204.002",
    ),
)


@rule(id="file.name", version="1", title="Names that mislead")
def name(view: TriageView) -> Iterator[Contribution]:
    """Look for double extensions, reversed names, and system programs outside their folder.

    Why: such a name is made to deceive. Honest software has no `invoice.pdf.exe`, and `svchost.exe` lives
    in System32.

    Weights: +9 a false system program or a mark of ransomware, +8 a double extension.

    Refuted by: portable copies of system tools in a forensic lab: an analyst.
    """
    yield from signs_in(texts(view, *FILES), NAMES, rule="file.name")


@rule(id="file.place", version="1", title="Places where anybody may write")
def place(view: TriageView) -> Iterator[Contribution]:
    """Look for programs in temporary, public and users' own folders.

    Why: whoever has no rights yet can write there. Installers and updaters use the same folders.

    Weights: +4 temporary and public folders, +3 the user's own.

    Refuted by: known updaters (analyst's verdict).
    """
    yield from signs_in(texts(view, "process.executable", "file.path", "dll.path"), PLACES, rule="file.place")
