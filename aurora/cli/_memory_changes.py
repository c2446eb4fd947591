"""The commands of `aurora memory` that change it: add, approve, forget, roll back, make new vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._memory_desk import FromSource, asked, moment_or_none, person
from aurora.cli._options import AsJson, Database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from aurora.services.desk import Desk

ItemIds = Annotated[
    list[str], typer.Argument(metavar="ID...", show_default=False, help="Ids of items, or their last digits.")
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why. It is kept for whoever asks later.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it, only what it would be is shown.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it would be, and exit with 0.")]


def approve(ids: ItemIds, as_json: AsJson = False, db: Database = None) -> None:
    """Let items out of quarantine. They are recalled from now on, and trusted no more than before.

    Example:
        aurora memory approve 87816699
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.cli._show import complain, out, plain, tail
        from aurora.kernel.errors import Conflict, NotFound
        from aurora.services.memory import approve_item

        status = DONE
        async with opened(db) as runtime:
            desk = runtime.desk(runtime.storage.tenant, person=person())
            for each in dict.fromkeys(ids):
                try:
                    item = await approve_item(desk, each, now=runtime.clock.now())
                except (Conflict, NotFound) as error:
                    complain(error.message)
                    status = INCOMPLETE
                    continue
                if as_json:
                    write_json(item)
                else:
                    out().print(
                        plain(f"{tail(item['id'])}: approved, still trusted as {item['trust']}"), soft_wrap=True
                    )
        return status

    run(work)


def add(
    *,
    fact: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            "--fact",
            metavar="TYPE:VALUE PREDICATE OBJECT",
            show_default=False,
            help="What is true of whom. It takes the place of what was said of this predicate before.",
        ),
    ] = None,
    note: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--note",
            metavar="TITLE TEXT",
            show_default=False,
            help="How something is done here. A note of the same title becomes its next version.",
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="TEXT", show_default=False, help="Why the fact is true. It is shown with it."),
    ] = "",
    valid_from: Annotated[
        str | None, typer.Option("--valid-from", metavar="TIME", help="Since when the fact is true; else since now.")
    ] = None,
    valid_to: Annotated[
        str | None,
        typer.Option("--valid-to", metavar="TIME", help="Until when it is true; else until another is said."),
    ] = None,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """State a fact, or keep a note, in your name: it is trusted as said by a person. What it replaces stays as history.

    Triage shows a fact beside every alert that names its subject. The types are those of entities and observables:
    host, user, address, file, process, mailbox, application, ip, domain, url, hash_sha256, email, cve, …

    Examples:
        aurora memory add --fact host:web-1 is 'vulnerability scanner' --reason 'CHG-1042, scans on Tuesdays'

        aurora memory add --note 'Phishing triage' 'Ask the recipient before the mailbox is locked.'
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._memory import kept_line
        from aurora.cli._show import out
        from aurora.kernel.errors import InputError
        from aurora.services.memory import add_fact, add_note

        if (fact is None) == (note is None):
            raise InputError("say what to add: either --fact TYPE:VALUE PREDICATE OBJECT or --note TITLE TEXT")
        if fact is None and (valid_from or valid_to or reason):
            raise InputError("--reason, --valid-from and --valid-to go with --fact; a note says all in its text")

        async def remember(desk: Desk, now: datetime) -> dict[str, Any]:
            if note is not None:
                return await add_note(desk, *note)
            assert fact is not None
            begins, ends = moment_or_none(valid_from, "--valid-from", now), moment_or_none(valid_to, "--valid-to", now)
            return await add_fact(desk, fact, now=now, reason=reason, valid_from=begins, valid_to=ends)

        kept = await asked(db, remember)
        if as_json:
            write_json(kept)
        else:
            out().print(kept_line(kept), soft_wrap=True)
        return DONE

    run(work)


def forget(
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...]", show_default=False, help="Ids of items, or their last digits, 6 or more."),
    ] = None,
    source: FromSource = None,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="TIME", help="What was recorded before: all of it, or of what is named."),
    ] = None,
    reason: Reason,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Erase items for good: text, value, names and vector go. A tombstone stays in the chain of events.

    What was made of erased items and of nothing else goes with them. It cannot be undone, and backups of the database
    keep what they have. To take something back that was wrong, use `aurora memory rollback`: it keeps the evidence.

    Examples:
        aurora memory forget 87816699 --reason 'request 118 of the data subject' --yes

        aurora memory forget --source user:j.doe --reason 'left the company' --dry-run

    Exit status: 0 erased, or shown with --dry-run; 1 not found, or --yes is missing.
    """

    async def work() -> int:
        from aurora.services.memory import forget_items

        async def act(desk: Desk, now: datetime) -> dict[str, Any]:
            moment, is_dry = moment_or_none(before, "--before", now), dry_run or not yes
            return await forget_items(
                desk, ids or [], now=now, reason=reason, source=source, before=moment, is_dry=is_dry
            )

        did = "erased"
        return await _take_away(act, db, source, doing="erasing", did=did, is_preview=dry_run, as_json=as_json)

    run(work)


def rollback(
    *,
    source: FromSource = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="TIME", help="What was recorded after: all of it, or of what is named."),
    ] = None,
    reason: Reason,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Take back all that came from a source, or was recorded after a moment, with all that was made of it.

    It is never recalled again, and what it had replaced stands again. It stays as evidence: `aurora memory show`.

    Examples:
        aurora memory rollback --source run:01a206fb-7a99-7001-8dee-2ae218cf310d --reason 'was misled' --dry-run

        aurora memory rollback --after 2026-06-16T08:00Z --reason 'test data' --yes

    Exit status: 0 taken back, or shown with --dry-run; 1 --yes is missing.
    """

    async def work() -> int:
        from aurora.services.memory import roll_back

        async def act(desk: Desk, now: datetime) -> dict[str, Any]:
            moment, is_dry = moment_or_none(after, "--after", now), dry_run or not yes
            return await roll_back(desk, now=now, reason=reason, source=source, after=moment, is_dry=is_dry)

        did = "taken back"
        return await _take_away(act, db, source, doing="taking back", did=did, is_preview=dry_run, as_json=as_json)

    run(work)


def reembed(
    drop: Annotated[bool, typer.Option("--drop-old", help="Then delete the vectors of other embedders.")] = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Make new vectors after memory.embedder was changed. The old ones serve until all are made.

    It may be stopped at any time, and goes on where it was.

    Example:
        aurora memory reembed --drop-old
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._memory import reembedded_line
        from aurora.cli._memory_work import Bar
        from aurora.cli._show import err, out
        from aurora.services.memory import reembed_memory

        with Bar(err(), "vectors") as bar:
            done = await asked(db, lambda desk, _: reembed_memory(desk, drop=drop, on_progress=bar.show))
        if as_json:
            write_json(done)
        else:
            out().print(reembedded_line(done), soft_wrap=True)
        return DONE if not done["remaining"] else INCOMPLETE

    run(work, when_stopped="what was made stays; the same command goes on from there")


async def _take_away(
    act: Callable[[Desk, datetime], Awaitable[dict[str, Any]]],
    db: str | None,
    source: str | None,
    *,
    doing: str,
    did: str,
    is_preview: bool,
    as_json: bool,
) -> int:
    """Take something away, or find out what it would be, tell it, and return the exit status."""
    from aurora.cli._json import write_json
    from aurora.cli._memory import print_gone
    from aurora.cli._memory_work import Bar
    from aurora.cli._show import complain, err, out

    with Bar(err(), doing):
        done = await asked(db, act)
    if as_json:
        write_json(done)
    else:
        print_gone(out(), done, did)
    if done["dry_run"] and not is_preview and done["items"]:
        complain(f"nothing was {did}; with --yes it is")
        return INCOMPLETE
    if source is not None and not done["items"]:
        complain(
            f"nothing that stands comes from «{source}»: a source is named in full, or ends in *; "
            "`aurora memory show` tells those of an item"
        )
    return DONE
