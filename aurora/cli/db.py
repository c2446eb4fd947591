"""aurora db: the schema and the health of the database."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command, Group
from aurora.cli._options import AsJson, Database

app = typer.Typer(
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    context_settings=OPTIONS,
    help="Create, upgrade and check the database; remove what need not be kept.",
)


@app.command(cls=Command)
def upgrade(db: Database = None) -> None:
    """Bring the database to the schema that this Aurora needs; make it if there is none.

    Examples:
        aurora db upgrade

        aurora db upgrade --db postgresql://aurora@db.corp.example/aurora
    """

    async def work() -> int:
        from aurora.cli._options import database_shown, settings_for
        from aurora.cli._show import out, plain
        from aurora.storage.engine import open_engine
        from aurora.storage.schema import HEAD, ensure_current, revision, upgrade

        settings = settings_for(db)
        async with open_engine(settings.database.dsn) as engine:
            before = await revision(engine)
            await (ensure_current(engine) if before.found is None else upgrade(engine))
            after = await revision(engine)
        change = "is at" if before.is_current else f"went from {before.found or 'nothing'} to"
        out().print(plain(f"{database_shown(settings)} {change} revision {after.found}"), soft_wrap=True)
        return DONE if after.found == HEAD else INCOMPLETE

    run(work)


@app.command(cls=Command)
def check(db: Database = None) -> None:
    """Check revision, tables and integrity; exit 0 only if this Aurora can work with all of it. Changes nothing.

    Example:
        aurora db check --db sqlite:///soc.db
    """

    async def work() -> int:
        from aurora.cli._options import database_shown, settings_for
        from aurora.cli._show import complain, out, plain
        from aurora.storage.engine import file_of, open_engine
        from aurora.storage.schema import HEAD, differences, integrity, revision

        settings = settings_for(db)
        shown = database_shown(settings)
        file = file_of(settings.database.dsn)
        if file is not None and not file.exists():
            complain(f"{shown}: there is no database yet; `aurora db upgrade` makes it")
            return INCOMPLETE
        async with open_engine(settings.database.dsn) as engine:
            found = (await revision(engine)).found
            faults = await integrity(engine)
            if found != HEAD:
                faults.append(f"revision is {found or 'none'}, this Aurora needs {HEAD}: run `aurora db upgrade`")
            else:
                faults += [f"differs from the models: {each}" for each in await differences(engine)]
        for fault in faults:
            complain(f"{shown}: {fault}")
        if not faults:
            out().print(
                plain(f"{shown} is at revision {found}; tables equal the models, integrity holds"), soft_wrap=True
            )
        return INCOMPLETE if faults else DONE

    run(work)


@app.command(cls=Command)
def prune(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go; remove nothing.")] = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Remove what need not be kept any more: steps after retention.steps (30 days), tasks after retention.tasks (365).

    A run without its steps is still shown, but cannot be replayed. Alerts, verdicts, cases and the runs that verdicts
    name stay, and so does every task that has not ended. A scheduler does the same every hour.

    Examples:
        aurora db prune --dry-run

        aurora db prune --json
    """

    async def work() -> int:
        from aurora.cli._json import write_json
        from aurora.cli._options import opened
        from aurora.services.retention import prune

        async with opened(db) as runtime:
            gone = await prune(runtime.storage, runtime.settings.retention, clock=runtime.clock, is_dry=dry_run)
        if as_json:
            write_json(gone)
        else:
            _print_gone(gone)
        return DONE

    run(work)


def _print_gone(gone: dict[str, Any]) -> None:
    from aurora.cli._show import out, plain, plural, when

    console = out()
    would = "would lose" if gone["dry_run"] else "lost"
    steps = sum(gone[name] for name in ("checkpoints", "blobs", "writes", "journal"))
    console.print(
        plain(
            f"{plural(gone['runs_stripped'], 'run')} settled before {when(gone['steps_before'])} UTC {would} "
            f"their steps: {plural(steps, 'row')}, those of the tasks below included"
        ),
        soft_wrap=True,
    )
    went = "would go" if gone["dry_run"] else "went"
    console.print(
        plain(
            f"{plural(gone['tasks'], 'task')} settled before {when(gone['tasks_before'])} UTC {went}, with "
            f"{plural(gone['events'], 'event')}, {plural(gone['runs'], 'run')} and {plural(gone['slots'], 'slot')}"
        ),
        soft_wrap=True,
    )
