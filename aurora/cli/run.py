"""aurora run: any graph, on any input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aurora.cli._border import DONE, INCOMPLETE, run
from aurora.cli._help import OPTIONS, Command
from aurora.cli._options import AsJson, BrokerName, Database, ModelName, ModelUrl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from aurora.discovery import UntrustedPlugin
    from aurora.services.graph_runs import GraphRun, OnStep
    from aurora.settings import Settings

app = typer.Typer(add_completion=False, context_settings=OPTIONS)

STOPPED = "what is done is kept; the same command goes on"
STOPPED_NAMELESS = "what is done is kept, but without a --key the same command begins anew"


@app.command("run", cls=Command)
def run_graph(  # noqa: PLR0917 - Typer reads them as options
    graph: Annotated[str, typer.Argument(metavar="GRAPH", show_default=False, help="Id of a graph.")],
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            show_default=False,
            help="What its state begins with: key=value pairs, JSON text, @file.json, or - for standard input.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="TEXT",
            show_default=False,
            help="Name of this piece of work: the same key is the same run, begun once and gone on with. "
            "Without it every call is a run of its own.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Tell each step as it is done, also where no terminal is.")
    ] = False,
    as_json: AsJson = False,
    db: Database = None,
    broker: BrokerName = None,
    model: ModelName = None,
    model_url: ModelUrl = None,
) -> None:
    """Run a graph, durably, and print the state that it ends with.

    The input is held against the type of the graph's state before anything is begun. `aurora graph list` shows
    which graphs there are. Killed at any moment, the same command with the same --key goes on after the last
    step that was done; a run that has ended is shown again, not repeated.

    Examples:
        aurora run phish 'text=Your parcel waits at http://parcel.example/pay'

        aurora run phish @mail.json --json

        aurora run triage alert_id=4f2a --model ollama:qwen3:8b

    Exit status: 0 the graph came to its end; 1 it failed, or the key is taken; 2 the input does not fit.
    """

    async def work() -> int:
        from aurora.cli._options import model_overrides, settings_for

        settings = settings_for(db, broker=broker, **model_overrides(model, model_url))
        return await _run(settings, graph, given or [], key=key, watch=watch, as_json=as_json)

    run(work, when_stopped=STOPPED if key else STOPPED_NAMELESS)


async def _run(
    settings: Settings, graph: str, words: Sequence[str], *, key: str | None, watch: bool, as_json: bool
) -> int:
    import sys

    from aurora.bootstrap import open_dispatcher, open_runtime
    from aurora.cli._show import complain, err
    from aurora.kernel.errors import NotFound
    from aurora.kernel.models import TaskState
    from aurora.services.graph_input import read_input, state_types
    from aurora.services.graph_runs import carry_out, submit

    async with open_runtime(settings) as runtime:
        spec = runtime.content.graphs.get(graph)
        if spec is None:
            raise NotFound(_no_graph(graph, sorted(runtime.content.graphs), runtime.content.untrusted))
        limit = settings.ingest.max_record_bytes
        given = read_input(words, spec=spec, stdin=getattr(sys.stdin, "buffer", None), limit_bytes=limit)
        most = settings.dispatch.max_queued
        task = await submit(
            runtime.storage, spec, given, key=key, clock=runtime.clock, ids=runtime.ids, max_queued=most
        )
        on_step = _teller() if watch or err().is_terminal else None
        async with open_dispatcher(runtime, jobs=1) as dispatcher:
            ended = await carry_out(runtime.storage, dispatcher, spec, task, clock=runtime.clock, on_step=on_step)
    if as_json:
        _write(ended)
    else:
        _print(ended)
    if ended.state is TaskState.SUCCEEDED:
        return DONE
    complain(_why(ended, list(state_types(spec))))
    return INCOMPLETE


def _no_graph(graph: str, known: Sequence[str], untrusted: Sequence[UntrustedPlugin]) -> str:
    message = f"there is no graph {graph[:40]!r}; there are {', '.join(known)}"
    if untrusted:
        names = ", ".join(each.name for each in untrusted)
        message += f". Installed, but not trusted: {names}; to use one, name it in content.trusted_plugins"
    return message


def _teller() -> OnStep:
    """Return what tells a step on standard error."""
    from rich.text import Text

    from aurora.cli._show import err, plain

    console = err()

    def tell(node: str, took_ms: float) -> None:
        console.print(Text.assemble(("● ", "cyan"), plain(node), (f"  {took_ms:.1f} ms", "dim")))

    return tell


def _write(ended: GraphRun) -> None:
    from aurora.cli._json import write_json

    write_json(
        {
            "run_id": str(ended.run_id),
            "graph": ended.graph,
            "graph_version": ended.version,
            "task": ended.state.value,
            "outcome": ended.outcome,
            "error": ended.error,
            "state": ended.values,
        }
    )


def _print(ended: GraphRun) -> None:
    from rich.text import Text

    from aurora.cli._show import out, plain, tail

    console = out()
    version = f" {ended.version}" if ended.version else ""
    console.print(
        Text.assemble(
            plain(f"{ended.graph}{version}", style="cyan"),
            ": ",
            plain(ended.outcome or ended.state.value, style="bold"),
            (f"  run {tail(ended.run_id)}", "dim"),
        )
    )
    for key, value in ended.values.items():
        console.print()
        console.print(plain(key, style="bold"))
        console.print(_shown(value), soft_wrap=True)


def _shown(value: Any) -> Text:
    """Return a value of the state for people: text as it stands, anything else as JSON, two spaces further in."""
    import json
    import textwrap

    from aurora.cli._show import block

    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return block(textwrap.indent(told, "  ", lambda _: True))


def _elsewhere(ended: GraphRun) -> str:
    """Return what ended a run in another process, or at another time."""
    from aurora.cli._show import tail
    from aurora.kernel.models import TaskState

    more = f"aurora runs show {tail(ended.run_id)} tells more"
    if ended.state is TaskState.CANCELLED:
        return f"the run was cancelled by a person; what is done is kept; {more}"
    said = ": ".join(part for part in (ended.error, ended.reason) if part) or "nothing is known of why"
    return f"the run {'failed' if ended.state is TaskState.FAILED else 'is ' + ended.state.value}: {said}; {more}"


def _why(ended: GraphRun, keys: Sequence[str]) -> str:
    """Return what ended a run, where, and what to do.

    Args:
        ended: The run.
        keys: Of the graph's state.
    """
    import traceback

    from aurora.kernel.errors import AuroraError
    from aurora.kernel.models import TaskState

    cause = ended.cause
    if ended.state is TaskState.WAITING:
        return "the run waits for a decision; what is done is kept"
    if cause is None:
        return _elsewhere(ended)
    if isinstance(cause, AuroraError):
        return f"the run failed: {cause.message} ({cause.code})"
    if isinstance(cause, KeyError) and cause.args and cause.args[0] in keys and cause.args[0] not in ended.values:
        return f"the run failed: it needs {cause.args[0]!r}: aurora run {ended.graph} {cause.args[0]}=…"
    frames = [each for each in traceback.extract_tb(cause.__traceback__) if "site-packages" not in each.filename]
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    more = "; AURORA_OBSERVABILITY__LOG_LEVEL=debug shows the way there"
    return f"the run failed: {type(cause).__name__}: {cause}{place}{more}"
