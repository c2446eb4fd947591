"""aurora worker: a process that works for everybody."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aurora.cli._border import run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import BrokerName, Database, ModelName, ModelUrl, model_overrides

app = typer.Typer(add_completion=False, context_settings=OPTIONS)

STOPPED = "what was begun is handed to others, or taken up when a worker starts again"


@app.command(cls=Command)
def worker(
    *,
    queues: Annotated[
        str | None,
        typer.Option(
            "--queues",
            metavar="NAMES",
            show_default=False,
            help="Serve only these queues: some of critical, high, normal, bulk, such as critical,high. "
            "Without it: AURORA_DISPATCH__LANES, then all.",
        ),
    ] = None,
    graphs: Annotated[
        str | None,
        typer.Option(
            "--graphs",
            metavar="IDS",
            show_default=False,
            help="Run only these graphs, such as triage,hunt. Without it: all that are installed.",
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, metavar="N", show_default=False, help="Run so many tasks at once; 8 unless set otherwise."
        ),
    ] = None,
    drain_timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            show_default=False,
            help="How long runs may go on after SIGTERM, such as 30s or 2m; what is left is handed to others. "
            "30s unless set otherwise.",
        ),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            show_default=False,
            help="Answer /livez, /readyz and /metrics over HTTP on this port; 0 takes a free one.",
        ),
    ] = None,
    health_host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to answer on; 0.0.0.0 lets everybody ask who can reach this machine."
        ),
    ] = "127.0.0.1",
    scheduler: Annotated[
        bool, typer.Option("--scheduler", help="Fire schedules too; any number of processes may.")
    ] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Write the log as JSON, one object a line.")] = False,
    broker: BrokerName = None,
    db: Database = None,
    model: ModelName = None,
    model_url: ModelUrl = None,
) -> None:
    """Carry out tasks as they come, until SIGTERM or Ctrl-C.

    Told to stop, it takes no more tasks and lets those that run come to their end; told twice, it hands them to
    other workers at once. What another worker cannot take over goes on when one starts. While the database is away
    it waits; while a broker is away it looks into the database.

    Examples:
        aurora worker

        aurora worker --queues critical,high --concurrency 16 --health-port 8080

        aurora worker --db postgresql://aurora@db/aurora --broker nats://nats:4222 --log-json

    Exit status: 0 told to stop, and done; 130, 143 told twice; 2 wrong usage or settings; 3 no database at the
    start or at the end; 70 a fault of Aurora.
    """
    overrides: dict[str, Any] = {
        name: value
        for name, value in {
            "dispatch__lanes": queues,
            "dispatch__concurrency": concurrency,
            "dispatch__drain_timeout": drain_timeout,
        }.items()
        if value is not None
    }

    async def work() -> int:
        from aurora.cli._options import settings_for
        from aurora.cli._worker import Health, serve
        from aurora.kernel.errors import ConfigError

        chosen = None if graphs is None else [each.strip() for each in graphs.split(",") if each.strip()]
        if chosen is not None and not chosen:
            raise ConfigError("--graphs names no graph; without it the worker runs all that are installed")
        return await serve(
            settings_for(db, broker=broker, **overrides, **model_overrides(model, model_url)),
            graphs=chosen,
            health=None if health_port is None else Health(health_host, health_port),
            scheduler=scheduler,
            log_json=log_json,
        )

    run(work, when_stopped=STOPPED)
