"""What a report tells: everything counted, the worst alerts in full, and what was not checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from aurora.discovery import Content
from aurora.ingest.accepted import SHOWN, Accepted
from aurora.kernel.clock import Clock
from aurora.kernel.ids import AlertId
from aurora.sdk.knowledge import Knowledge
from aurora.services.outcomes import Document
from aurora.services.report_alert import LONGEST_TITLE, LONGEST_WHO, cut, full_document, size
from aurora.services.report_tally import LABELS, Line, Tally
from aurora.services.summary import distinct
from aurora.storage.unit_of_work import Storage

FULL = 200
"""Alerts that are told in full: more than a person reads, and a file of 2 to 5 MB."""
LISTED = 10_000
"""Alerts that have a line of their own; the others are counted."""
_FULL_BYTES, _LINES_BYTES = 4_000_000, 5_500_000
"""HTML that alerts in full, and alerts in a line each, may take; with very long values they are fewer."""
_LINE_BYTES = 420
"""HTML of a line without its title and names."""
_FILES = 1000
_CASES = 60
_CHUNK = 20
"""Alerts read in full at once: a record may have 16 MB."""
_PAGE = 500

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is to do."""


@dataclass(frozen=True, slots=True)
class FileCount:
    """What the records of one input became."""

    name: str
    formats: Sequence[tuple[str, int]]
    counts: Mapping[str, int]
    """`triaged`, `duplicate`, `context`, `rejected`."""

    @property
    def read(self) -> int:
        """All records of it."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Rejects:
    """Records that could not be used."""

    total: int
    shown: Sequence[Document] = ()
    """`file`, `line`, `reason`, `message`."""

    @property
    def grouped(self) -> list[Document]:
        """Those that are shown, the same fault in the same file once, with all its `lines`."""
        groups: dict[tuple[str, str, str], list[int]] = {}
        for each in self.shown:
            groups.setdefault((each["file"], each["reason"], each["message"]), []).append(each["line"])
        return [
            {"file": file, "reason": reason, "message": message, "lines": sorted(lines)}
            for (file, reason, message), lines in groups.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report tells. Most texts in it are as they came: whoever writes them down cleans them."""

    made_at: datetime
    version: str
    """Of Aurora."""
    scope: str
    """Which alerts these are, in words."""
    counts: Mapping[str, int] | None
    """`read` = `triaged` + `duplicate` + `context` + `rejected`; `None` where the report is not about one input."""
    files: Sequence[FileCount]
    """Those that were not recognised first, if they are too many to name them all."""
    files_left: int
    context: Mapping[str, int]
    tally: Tally
    full: Sequence[Document]
    """The worst alerts, the worst first."""
    lines: Sequence[Line]
    """The next worst."""
    cases: Sequence[Document]
    cases_left: int
    rejects: Rejects
    attack_version: str
    attack_notice: str
    enrichers: Sequence[str]
    unread: Sequence[tuple[str, int]] = field(default=())
    """Places that no evidence comes from, over the alerts in full, with how many of them have it."""

    @property
    def uncounted(self) -> int:
        """Alerts that have no line."""
        return self.tally.total - len(self.full) - len(self.lines)


async def report_of_input(
    storage: Storage,
    accepted: Accepted,
    *,
    content: Content,
    knowledge: Knowledge,
    clock: Clock,
    version: str,
    on_progress: Progress | None = None,
) -> Report:
    """Return the report of one input, read back from storage.

    Args:
        storage: Where its alerts and verdicts are.
        accepted: The account of the input.
        content: Which enrichers there are.
        knowledge: Names of techniques.
        clock: Tells when the report is made.
        version: Of this Aurora.
        on_progress: Called now and then.
    """
    tally = Tally(keep=FULL + LISTED)
    total = accepted.alerts + accepted.duplicates
    alerts = iter(distinct(accepted))
    while part := list(islice(alerts, _PAGE)):
        async with storage.reading() as transaction:
            for row in await transaction.reports.lines(part):
                tally.add(row)
        _tell(on_progress, tally.total, total)
    rejected = [
        {"file": each.file, "line": each.line, "reason": each.reason, "message": each.message}
        for each in accepted.rejected
    ]
    return await _report(
        storage,
        tally,
        content=content,
        knowledge=knowledge,
        made_at=clock.now(),
        version=version,
        scope="all alerts of this input",
        counts=accepted.check(),
        **_named(_files(accepted)),
        context=dict(accepted.context.most_common()),
        rejects=Rejects(accepted.rejects, rejected),
    )


async def report_of_alerts(
    storage: Storage,
    *,
    filters: Mapping[str, str | None],
    content: Content,
    knowledge: Knowledge,
    clock: Clock,
    version: str,
    on_progress: Progress | None = None,
) -> Report:
    """Return the report of all stored alerts that match filters, as `Reports.matching` takes them.

    Other arguments are those of `report_of_input`.
    """
    tally = Tally(keep=FULL + LISTED)
    async with storage.reading() as transaction:
        async for rows in transaction.reports.matching(**filters):
            for row in rows:
                tally.add(row)
            _tell(on_progress, tally.total, 0)
        rejects = await transaction.reports.rejected()
        rejected = await transaction.batches.rejected(limit=SHOWN)
    named = [f"{name} {value}" for name, value in filters.items() if value is not None]
    return await _report(
        storage,
        tally,
        content=content,
        knowledge=knowledge,
        made_at=clock.now(),
        version=version,
        scope=f"stored alerts with {', '.join(named)}" if named else "all stored alerts",
        counts=None,
        **_named(_files_of_alerts(tally)),
        context={},
        rejects=Rejects(rejects, rejected),
    )


async def _report(storage: Storage, tally: Tally, *, content: Content, knowledge: Knowledge, **given: Any) -> Report:
    """Read what is told in full, and put everything together."""
    tally.finish()
    ranked = sorted(tally.cases, key=lambda case_id: (tally.cases[case_id].badness, case_id))
    async with storage.reading() as transaction:
        cases = await transaction.cases.by_id(ranked[:_CASES])
    full = [each async for each in _in_full(storage, tally.worst, knowledge)]
    unread = Counter(place for each in full for place in each["unread"]["places"])
    return Report(
        tally=tally,
        full=full,
        lines=_fitting(tally.worst[len(full) :]),
        cases=[
            {
                "case_id": case_id,
                "title": cut(cases[case_id]["title"], 300),
                "severity": cases[case_id]["severity"],
                "status": cases[case_id]["status"],
                "techniques": [
                    (technique, found.name if (found := knowledge.attack.technique(technique)) else "")
                    for technique in cases[case_id]["techniques"]
                ],
                "alerts": [(label, tally.cases[case_id].alerts[label]) for label in LABELS],
                "total": tally.cases[case_id].alerts.total(),
                "first": tally.cases[case_id].first,
                "last": tally.cases[case_id].last,
            }
            for case_id in ranked[:_CASES]
            if case_id in cases
        ],
        cases_left=max(0, len(ranked) - _CASES),
        attack_version=knowledge.attack.version,
        attack_notice=getattr(knowledge.attack, "notice", ""),
        enrichers=[f"{each.id} {each.version}" for each in content.enrichers.values()],
        unread=sorted(unread.items(), key=lambda each: (-each[1], each[0]))[:40],
        **given,
    )


async def _in_full(storage: Storage, worst: Sequence[Line], knowledge: Knowledge) -> AsyncIterator[Document]:
    """Yield the worst alerts with all their evidence, as many as a file should hold."""
    room = _FULL_BYTES
    for start in range(0, min(FULL, len(worst)), _CHUNK):
        ids = [AlertId(line.alert_id) for line in worst[start : min(FULL, start + _CHUNK)]]
        async with storage.reading() as transaction:
            outcomes = await transaction.alerts.outcomes(ids)
            histories = await transaction.reports.histories(ids)
            wanted = {outcome.alert["case_id"] for outcome in outcomes} - {None}
            cases: dict[UUID, dict[str, Any]] = await transaction.cases.by_id(sorted(wanted))
        for outcome in outcomes:
            document = full_document(
                outcome,
                history=histories.get(outcome.record_id, ()),
                case=cases.get(outcome.alert["case_id"]),
                attack=knowledge.attack,
            )
            room -= size(document)
            if room < 0:
                return
            yield document


def _fitting(lines: Sequence[Line]) -> list[Line]:
    """Return the first lines that fit into a file of sane size."""
    room, fitting = _LINES_BYTES, []
    for line in lines:
        room -= _LINE_BYTES + size(cut(line.title, LONGEST_TITLE)) + size(cut(line.who, LONGEST_WHO))
        if room < 0:
            break
        fitting.append(line)
    return fitting


def _files(accepted: Accepted) -> list[FileCount]:
    kinds = ("triaged", "duplicate", "context", "rejected")
    return [
        FileCount(
            name=file,
            formats=sorted((name, count) for (each, name), count in accepted.formats.items() if each == file),
            counts={kind: accepted.by_file[file, kind] for kind in kinds},
        )
        for file in dict.fromkeys(accepted.files)
    ]


def _named(files: list[FileCount]) -> dict[str, Any]:
    if len(files) > _FILES:
        files = sorted(files, key=lambda file: bool(file.formats))
    return {"files": files[:_FILES], "files_left": max(0, len(files) - _FILES)}


def _files_of_alerts(tally: Tally) -> list[FileCount]:
    files: dict[str, Counter[str]] = {}
    for (file, _, format_id), count in tally.sources.items():
        files.setdefault(file, Counter())[format_id] += count
    return [
        FileCount(name=file, formats=sorted(formats.items()), counts={"triaged": formats.total()})
        for file, formats in sorted(files.items())
    ]


def _tell(on_progress: Progress | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total)
