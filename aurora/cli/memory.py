"""aurora memory: what is remembered, why it is recalled, and a hand on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._memory_changes import add, approve, forget, reembed, rollback
from aurora.cli._memory_desk import FromSource, asked, moment_or_none, person, subject_or_none
from aurora.cli._options import AsJson, Database

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Search what is remembered, add facts and notes, take back or erase.",
)

# Spelled out, so that help and completion need not import the package; a test holds them to its enumerations.
TierName = Literal["episodic", "semantic", "procedural", "store"]
StateName = Literal["active", "quarantined", "archived", "rolled_back", "erased"]

ItemId = Annotated[
    str, typer.Argument(metavar="ID", show_default=False, help="Id of an item, or its last digits, 6 or more.")
]
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only this kind: outcome, case, fact, note, …")
]


@app.command(cls=Command)
def search(
    *,
    query: Annotated[str, typer.Argument(metavar="QUERY", show_default=False, help="What to look for, in any words.")],
    tier: Annotated[
        TierName | None,
        typer.Option(metavar="TIER", help="Only this tier: episodic, semantic, procedural or store."),
    ] = None,
    kind: Kind = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="TYPE:VALUE", help="Only what is about this, as host:web-1.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="What was true then: 2026-06-01T12:30Z, or 7d for ago.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help="What was held then, whatever was learned since.")
    ] = None,
    for_action: Annotated[
        bool, typer.Option("--for-action", help="Only what may move an action; the rest is listed with the reason.")
    ] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Also what was put away because it is old.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, metavar="N", help="So many at most.")] = 8,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Search the memory, and show why each item was found: its score, what that is made of, who stands behind it.

    What is in quarantine, rolled back or erased is never found. Where nothing fits, it says so and shows nothing.

    Examples:
        aurora memory search 'encoded powershell on a build server'

        aurora memory search 'who approved the scanner' --as-of 2026-06-01 --for-action

    Exit status: 0 something was found; 1 nothing was.
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._memory import print_found
        from aurora.cli._options import opened
        from aurora.cli._show import out
        from aurora.services.memory import search_memory

        async with opened(db) as runtime:
            now = runtime.clock.now()
            found = await search_memory(
                runtime.desk(runtime.storage.tenant, person=person()),
                query,
                now=now,
                tiers=() if tier is None else (tier,),
                kinds=() if kind is None else (kind,),
                subject=subject_or_none(subject),
                at=moment_or_none(at, "--at", now),
                as_of=moment_or_none(as_of, "--as-of", now),
                for_action=for_action,
                archived=archived,
                limit=limit,
            )
        if as_json:
            write_json(found)
        else:
            print_found(out(), found)
        return DONE if found["hits"] else INCOMPLETE

    run(work)


@app.command(cls=Command)
def show(id: ItemId, as_json: AsJson = False, db: Database = None) -> None:
    """Show everything that is held of an item: sources, versions, links, what was made of it, what was done to it.

    Example:
        aurora memory show 87816699
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._memory import print_item
        from aurora.cli._show import out
        from aurora.services.memory import describe_item

        described = await asked(db, lambda desk, now: describe_item(desk, id, now=now))
        if as_json:
            write_json(described)
        else:
            print_item(out(), described)
        return DONE

    run(work)


@app.command("list", cls=Command)
def list_items(
    *,
    tier: Annotated[TierName | None, typer.Option(metavar="TIER", help="Only this tier.")] = None,
    kind: Kind = None,
    state: Annotated[
        StateName | None,
        typer.Option(metavar="STATE", help="Only in this state: active, quarantined, archived, rolled_back, erased."),
    ] = None,
    source: FromSource = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, metavar="N", help="So many at most.")] = 30,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """List items, the latest record first; those in whose place others stand are shown with `aurora memory show`.

    Examples:
        aurora memory list --kind fact

        aurora memory list --source 'user:*' --json
    """
    run(lambda: _list(as_json, db, tier=tier, kind=kind, state=state, source=source, limit=limit))


@app.command(cls=Command)
def quarantine(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, metavar="N", help="So many at most.")] = 30,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """List what waits in quarantine: outside content that reads like instructions. It is kept, and never recalled.

    `aurora memory show` tells which patterns an item has; `approve` lets it out, `forget` erases it.

    Example:
        aurora memory quarantine
    """
    run(lambda: _list(as_json, db, state="quarantined", limit=limit))


@app.command(cls=Command)
def stats(as_json: AsJson = False, db: Database = None) -> None:
    """Show the memory in numbers: items by tier, trust and state, sources, vectors by embedder.

    Example:
        aurora memory stats --json
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._memory import print_stats
        from aurora.cli._show import out
        from aurora.services.memory import memory_stats

        found = await asked(db, lambda desk, _: memory_stats(desk))
        if as_json:
            write_json(found)
        else:
            print_stats(out(), found)
        return DONE

    run(work)


@app.command(cls=Command)
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", show_default=False, help="Where to; - or none: stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    db: Database = None,
) -> None:
    """Write the whole memory as JSON lines: items with their sources, then links, then the chain of events.

    It is a picture of one moment. Texts are as they are kept, from outside; secrets were taken out on the way in.

    Examples:
        aurora memory export memory.jsonl

        aurora memory export | jq -r 'select(.record == "item" and .trust == "operator") | .text'
    """

    async def work() -> int:
        from aurora.cli._memory_work import write_records
        from aurora.cli._options import opened

        async with opened(db) as runtime:
            await write_records(runtime.desk(runtime.storage.tenant, person=person()).export(), file, force=force)
        return DONE

    run(work, when_stopped="no file was written")


@app.command(cls=Command)
def verify(as_json: AsJson = False, db: Database = None) -> None:
    """Read all events and items, and tell whether one was edited, removed, moved or cut off.

    Example:
        aurora memory verify

    Exit status: 0 all is as it was written; 1 it is not.
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._show import complain, out, plain, plural
        from aurora.services.memory import verify_memory

        found = await asked(db, lambda desk, _: verify_memory(desk))
        if as_json:
            write_json(found)
        elif found["ok"]:
            events, items = plural(found["events"], "event"), plural(found["items"], "item")
            out().print(plain(f"{events}, each bound to the one before, and {items} as they say; nothing was changed"))
        elif found["item"]:
            complain(f"item {found['item']} is not as it was written: {found['why']}")
        else:
            complain(f"the chain is broken at event {found['first_bad']}: {found['why']}")
        return DONE if found["ok"] else INCOMPLETE

    run(work)


async def _list(as_json: bool, db: str | None, **filters: Any) -> int:
    from aurora.cli._json import write_json
    from aurora.cli._memory import print_list
    from aurora.cli._options import opened
    from aurora.cli._show import out
    from aurora.services.memory import list_items as found_items

    async with opened(db) as runtime:
        desk = runtime.desk(runtime.storage.tenant, person=person())
        found = await found_items(desk, now=runtime.clock.now(), **filters)
    if as_json:
        for each in found:
            write_json(each)
    else:
        nothing = "nothing waits in quarantine" if filters.get("state") == "quarantined" else "no item"
        print_list(out(), found, full=len(found) == filters["limit"], nothing=nothing)
    return DONE


for change in (approve, add, forget, rollback, reembed):
    app.command(cls=Command)(change)
