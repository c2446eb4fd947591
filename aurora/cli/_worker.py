"""How `aurora worker` runs: what it opens, what it says, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora.bootstrap import open_route, open_runtime, open_worker, versions
from aurora.cli._border import DONE, leading
from aurora.cli._options import database_shown
from aurora.cli._serving import Signals, Teller, signals
from aurora.cli._show import plural
from aurora.cli._tasks import owner as shown
from aurora.cli._tasks import span
from aurora.dispatch.relay import Relay
from aurora.observability.health import served
from aurora.observability.metered import MeteredLedger
from aurora.observability.metrics import page
from aurora.observability.vitals import Circuit, Vitals
from aurora.observability.watch import Watch
from aurora.scheduling import open_scheduler
from aurora.settings.values import without_password

if TYPE_CHECKING:
    from aurora.dispatch.circuits import Circuits
    from aurora.dispatch.tally import Drained
    from aurora.dispatch.worker import Worker
    from aurora.settings import Settings


@dataclass(frozen=True, slots=True)
class Health:
    """Where health checks are answered."""

    host: str
    port: int


async def serve(
    settings: Settings, *, graphs: Sequence[str] | None, health: Health | None, scheduler: bool, log_json: bool
) -> int:
    """Work until a signal comes; return the exit status.

    Args:
        settings: Of this command.
        graphs: Graphs that it runs; `None`: all.
        health: Where to answer health checks; `None`: nowhere.
        scheduler: Fire schedules too.
        log_json: Write the log as JSON.

    Raises:
        StorageUnavailable: there is no database to begin with; later it is waited for.
        ConfigError: a graph is not installed, nobody can listen on the port, or the settings cannot be used.
    """
    teller = Teller(settings, as_json=log_json)
    try:
        return await _serve(settings, teller, graphs=graphs, health=health, scheduler=scheduler)
    except Exception as error:
        cause = leading(error)  # the border tells people
        teller.say("worker.stopped", reason="failed", error=getattr(cause, "code", type(cause).__name__))
        raise


async def _serve(
    settings: Settings, teller: Teller, *, graphs: Sequence[str] | None, health: Health | None, scheduler: bool
) -> int:
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(settings))
        route = await stack.enter_async_context(open_route(runtime))
        vitals = Vitals(clock=runtime.clock)
        meter = partial(MeteredLedger, vitals=vitals, clock=runtime.clock)
        worker = await stack.enter_async_context(open_worker(runtime, graphs=graphs, route=route, meter=meter))
        watch = Watch(
            vitals,
            worker=worker,
            storage=runtime.storage,
            clock=runtime.clock,
            owner=worker.owner,
            places=settings.dispatch.concurrency,
            brokers=None if route.is_local else route.health,
            circuits=partial(_circuits, runtime.circuits),
        )
        if scheduler:
            await stack.enter_async_context(open_scheduler(runtime, route=route))
        # From here on; before that there is nothing to drain, and a signal ends the command as it ends any.
        caught = stack.enter_context(signals())
        where = None
        if health is not None:
            answering = served(vitals, host=health.host, port=health.port, metrics=partial(page, vitals))
            where = (health.host, stack.enter_context(answering))
        known = {graph: version for graph, version in versions(runtime.content).items() if graph in (graphs or [graph])}
        _say_started(teller, settings, worker.owner, graphs=known, health=where, scheduler=scheduler)
        beside = [watch.run(), Relay(runtime.storage, route, runtime.clock).run()]
        ended = await drained(worker, beside, caught, teller, settings)
    return _say_stopped(teller, caught, ended)


def _circuits(circuits: Circuits) -> dict[str, Circuit]:
    """Return the breakers, but for that of the local broker: there is nothing behind it that could fail."""
    return {
        key: Circuit(found.state.value, found.admitted, found.refused)
        for key, found in circuits.snapshots().items()
        if key != "broker:local"
    }


async def drained(
    worker: Worker,
    beside: Sequence[Coroutine[Any, Any, None]],
    caught: Signals,
    teller: Teller,
    settings: Settings,
) -> Drained | None:
    """Serve, with other work beside it, until it is done after a signal; `None`: a second one cut it short."""

    async def tell() -> None:
        await caught.drain.wait()
        runs, patience = plural(worker.running, "run"), span(settings.dispatch.drain_timeout)
        teller.say(
            "worker.stopping",
            f"{caught.name}: waits for {runs}, {patience} at most; once more hands what is left to others at once"
            if worker.running
            else "",
            signal=caught.name,
            running=worker.running,
        )
        await caught.hurry.wait()
        serving.cancel()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(worker.serve(caught.drain), name="serve")
        others = [group.create_task(each) for each in (tell(), *beside)]
        await asyncio.wait([serving])
        for each in others:
            each.cancel()
    return None if serving.cancelled() else serving.result()


def _say_started(
    teller: Teller,
    settings: Settings,
    owner: str,
    *,
    graphs: Mapping[str, str],
    health: tuple[str, int] | None,
    scheduler: bool,
) -> None:
    dispatch = settings.dispatch
    lanes = list(dispatch.lanes)
    graphs_shown = ", ".join(f"{graph} {version}" for graph, version in sorted(graphs.items()))
    broker = without_password(dispatch.broker.get_secret_value())
    where = f"http://{f'[{health[0]}]' if ':' in health[0] else health[0]}:{health[1]}" if health else None
    teller.say(
        "worker.started",
        f"worker {shown(owner)} serves {', '.join(lanes)}: {graphs_shown}; "
        f"{dispatch.concurrency} at once; {database_shown(settings)}; broker {broker}"
        + (f"; health {where}" if where else "")
        + ("; fires schedules" if scheduler else ""),
        worker=owner,
        lanes=lanes,
        graphs=dict(graphs),
        concurrency=dispatch.concurrency,
        database=database_shown(settings),
        broker=broker,
        health=where,
        scheduler=scheduler,
    )


def _say_stopped(teller: Teller, caught: Signals, drained: Drained | None) -> int:
    """Say why it ended; return the exit status."""
    if drained is None:
        teller.say(
            "worker.stopped",
            f"stopped by a second {caught.name}: what ran was handed to others",
            reason="hurried",
            signal=caught.name,
        )
        return 128 + caught.number
    ends = [f"{plural(drained.finished, 'run')} came to an end meanwhile"] if drained.finished else []
    ends += [f"{drained.handed_back:,} handed to others"] if drained.handed_back else []
    teller.say(
        "worker.stopped",
        f"stopped by {caught.name}" + (f": {', '.join(ends)}" if ends else ""),
        reason="drained",
        signal=caught.name,
        finished=drained.finished,
        handed_back=drained.handed_back,
    )
    return DONE
