"""Options that several commands take, and what they open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from aurora.bootstrap import Runtime
    from aurora.settings import Settings

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        show_default=False,
        help="Database, such as sqlite:///soc.db or postgresql://user@host/aurora. "
        "Without it: AURORA_DATABASE__URL, then aurora.toml, then a file in your data directory.",
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, and nothing else.")]


def settings_for(db: str | None, **overrides: Any) -> Settings:
    """Return the settings of this command; `--db` wins over every other source.

    Raises:
        SettingsInvalid: anything is wrong; the message lists every fault.
    """
    from aurora.cli._show import err, log_to
    from aurora.settings import load_settings

    if db is not None:
        overrides["database__url"] = db
    settings = load_settings(**overrides)
    log_to(err(), settings.observability.log_level)
    return settings


@asynccontextmanager
async def opened(db: str | None) -> AsyncIterator[Runtime]:
    """Open the runtime on the database of this command."""
    from aurora.bootstrap import open_runtime

    async with open_runtime(settings_for(db)) as runtime:
        yield runtime


def database_shown(settings: Settings) -> str:
    """Return the URL of the database as one would type it, without password and driver."""
    return settings.database.shown_url.replace("+aiosqlite:", ":", 1).replace("+asyncpg:", ":", 1)
