"""aurora status: what dispatch is doing now."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import AsJson, BrokerName, Database

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from rich.console import Console, RenderableType

    from aurora.settings import Settings

EVERY = timedelta(seconds=1)
"""Between two looks of who watches."""

app = typer.Typer(add_completion=False, context_settings=OPTIONS)


@app.command(cls=Command)
def status(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every second, until Ctrl-C. Prints JSON lines into a pipe.")
    ] = False,
    as_json: AsJson = False,
    db: Database = None,
    broker: BrokerName = None,
) -> None:
    """Show what dispatch is doing: queues, who works and holds what, brokers, breakers.

    A worker that is not heard of for 10 s is gone; what it held is handed to others.

    Examples:
        aurora status --watch

        aurora status --json | jq '.queues[] | select(.oldest_s > 60)'
    """

    async def work() -> int:
        import sys

        from aurora.cli._json import write_json
        from aurora.cli._options import settings_for
        from aurora.cli._show import out
        from aurora.cli._status import status_lines

        console = out()
        async with aclosing(_looks(settings_for(db, broker=broker), watch=watch)) as looks:
            if watch and console.is_terminal and not as_json:
                await _refresh(console, looks)
                return DONE
            async for look in looks:
                if as_json or watch:
                    write_json(look)
                    sys.stdout.flush()
                else:
                    for line in status_lines(look, width=console.width):
                        console.print(line)
        return DONE

    run(work)


async def _looks(settings: Settings, *, watch: bool) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield the state of dispatch: once, or every second. While one watches, a database that is away is no end."""
    from aurora.bootstrap import open_route, open_runtime
    from aurora.kernel.errors import StorageUnavailable
    from aurora.services.outcomes import told
    from aurora.services.status import describe_status

    async with open_runtime(settings) as runtime, open_route(runtime) as route:
        while True:
            try:
                brokers = None if route.is_local else await route.health()
                yield await describe_status(runtime.storage, clock=runtime.clock, brokers=brokers)
            except StorageUnavailable as error:
                if not watch:
                    raise
                yield {"time": told(runtime.clock.now()), "error": error.code, "reason": error.message}
            if not watch:
                return
            await runtime.clock.sleep(EVERY)


async def _refresh(console: Console, looks: AsyncIterator[Mapping[str, Any]]) -> None:
    """Show one look in the place of the one before. What was seen last stays when one ends it."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from aurora.cli._show import plain, when
    from aurora.cli._status import status_lines

    seen: list[RenderableType] = []
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        async for look in looks:
            head = Text(f"{when(look['time'])} UTC, Ctrl-C ends", style="dim")
            if "error" in look:
                head.append_text(plain(f"  {look['reason']}; below is what was seen last", style="bold red"))
            else:
                seen = list(status_lines(look, width=console.width))
            live.update(Group(head, *seen), refresh=True)
