"""aurora scheduler: a process that does what comes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from aurora.cli._border import DONE, run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import BrokerName, Database

if TYPE_CHECKING:
    from aurora.cli._serving import Teller
    from aurora.settings import Settings

app = typer.Typer(add_completion=False, context_settings=OPTIONS)

STOPPED = "what was due and not fired is fired by the next scheduler"


@app.command(cls=Command)
def scheduler(
    *,
    log_json: Annotated[bool, typer.Option("--log-json", help="Write the log as JSON, one object a line.")] = False,
    broker: BrokerName = None,
    db: Database = None,
) -> None:
    """Fire schedules, and do what else comes by itself, until SIGTERM or Ctrl-C.

    Folds duplicates, ends tasks past their deadline, accepts what a killed command had handed in, removes what need
    not be kept (retention.steps, retention.tasks), tidies the streams. Any number may run, also inside workers
    (aurora worker --scheduler): each slot is fired once. While the database is away it waits.

    Examples:
        aurora scheduler

        aurora scheduler --db postgresql://aurora@db/aurora --broker nats://nats:4222 --log-json

    Exit status: 0 told to stop; 2 wrong usage or settings; 3 no database at the start; 70 a fault of Aurora.
    """

    async def work() -> int:
        from aurora.cli._border import leading
        from aurora.cli._options import settings_for
        from aurora.cli._serving import Teller

        settings = settings_for(db, broker=broker)
        teller = Teller(settings, as_json=log_json)
        try:
            return await _serve(settings, teller)
        except Exception as error:
            cause = leading(error)  # the border tells people
            code = getattr(cause, "code", type(cause).__name__)
            teller.say("scheduler.stopped", reason="failed", error=code)
            raise

    run(work, when_stopped=STOPPED)


async def _serve(settings: Settings, teller: Teller) -> int:
    from aurora.bootstrap import open_runtime
    from aurora.cli._options import database_shown
    from aurora.cli._serving import signals
    from aurora.cli._show import plural
    from aurora.cli._tasks import owner as shown
    from aurora.dispatch.owner import this_owner
    from aurora.scheduling import open_scheduler
    from aurora.settings.values import without_password

    async with open_runtime(settings) as runtime:
        owner = this_owner(runtime.ids)
        async with open_scheduler(runtime, owner=owner) as scheduler:
            with signals() as caught:
                broker = without_password(settings.dispatch.broker.get_secret_value())
                teller.say(
                    "scheduler.started",
                    f"scheduler {shown(owner)} runs; {database_shown(settings)}; broker {broker}",
                    scheduler=owner,
                    database=database_shown(settings),
                    broker=broker,
                )
                await caught.drain.wait()
        teller.say(
            "scheduler.stopped",
            f"stopped by {caught.name}: {plural(scheduler.slots_fired_total, 'slot was', 'slots were')} fired",
            reason="told",
            signal=caught.name,
            **scheduler.counts(),
        )
    return DONE
