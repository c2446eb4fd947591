"""Runs a run again from its record, without model, network or effect, and compares every step byte by byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from aurora.dispatch.inside import place
from aurora.dispatch.recorded import Json, Recording
from aurora.dispatch.runner import input_of
from aurora.kernel.canonical import canonical, digest
from aurora.kernel.errors import AuroraError
from aurora.kernel.ports.journal import Kind
from aurora.storage.journal import decoded, scope_at

if TYPE_CHECKING:
    from aurora.sdk.context import RunContext
    from aurora.sdk.spec import GraphSpec
    from aurora.storage.repositories.journal import Entry


class ReplayDiffers(AuroraError):
    """The replay came to another point than the run did; the message says where."""

    code = "aurora.replay.differs"
    http_status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedStep:
    """One node of one superstep."""

    step: int
    node: str
    from_record: bool
    """The node asks or tells the world: it was not run, its recorded answer was taken."""
    sha256: str
    """Of what it wrote, as canonical JSON; hex."""
    difference: str = ""
    """What differs from the record; empty where nothing does."""


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a replay found."""

    steps: list[ReplayedStep] = field(default_factory=list)
    answers: int = 0
    """Answers that came from the journal."""
    difference: str = ""
    """At which step the replay differs, and how; empty: it is byte-equal to the run."""

    @property
    def is_equal(self) -> bool:
        """Whether every step wrote the same bytes, and every recorded answer was asked for."""
        return not self.difference


class ReplayJournal:
    """Implements `aurora.kernel.ports.journal.Journal` on a record: it knows all answers, and asks nobody."""

    def __init__(self, recording: Recording) -> None:
        self._entries = {(each.scope, each.number): each for each in recording.journal}
        self._asked: Counter[str] = Counter()

    async def answer(
        self, *, scope: str, kind: Kind, name: str, request: Json, perform: Callable[[], Awaitable[Json]]
    ) -> Json:
        scope = scope_at(place(), scope)
        self._asked[scope] += 1
        number = self._asked[scope]
        entry = self._entries.get((scope, number))
        if entry is None:
            raise ReplayDiffers(f"{scope} asks {kind} {name} once more than the run did, in its call {number}")
        if entry.request != canonical(request):
            raise ReplayDiffers(
                f"{scope} asks {kind} {name} something else than the run did, in its call {number}: "
                f"{_first_difference(decoded(entry.request), decoded(canonical(request)))}"
            )
        return decoded(entry.answer)

    def model_request(self) -> Json | None:
        """Return a recorded request to a model, which says what the model was; `None` if none was asked."""
        return next((decoded(each.request) for each in self._entries.values() if each.kind == "model"), None)

    @property
    def answers(self) -> int:
        """Answers given."""
        return sum(self._asked.values())

    def left(self) -> list[Entry]:
        """Return the recorded answers that nobody asked for."""
        return [each for (scope, number), each in self._entries.items() if number > self._asked[scope]]


class NoWorld:
    """Stands for every port of the context in a replay: whoever uses it should be named in `GraphSpec.world`."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ReplayDiffers(
            f"node {place() or 'outside of a graph'} uses {name}: a replay has no world; "
            "name the node in the `world` of its GraphSpec"
        )


async def replay(recording: Recording, spec: GraphSpec, context: RunContext, journal: ReplayJournal) -> Replayed:
    """Walk through the graph again and compare.

    Args:
        recording: What the run left.
        spec: Its graph, as it is now.
        context: What nodes may reach: ports are `NoWorld`, agents answer from `journal`.
        journal: The one that the context's agents use.

    Returns:
        Each step with the hash of what it wrote; it ends at the first one that differs.
    """
    found = Replayed()
    try:
        graph = _playable(recording, spec)
    except Exception as error:  # noqa: BLE001 - a plugin's code: whatever it raises is told, not shown
        found.difference = f"the graph of today cannot be built: {type(error).__name__}"
        return found
    config = {"configurable": {"thread_id": recording.task.thread_id}, "run_name": spec.id}
    try:
        async for event in graph.astream(input_of(recording.task), config, context=context, stream_mode="debug"):
            if event["type"] == "task_result" and not event["payload"]["error"]:
                _compare(recording, spec, found, event["step"], event["payload"])
                if found.difference:
                    break
    except ReplayDiffers as differs:
        found.difference = differs.message
    except Exception as error:  # noqa: BLE001 - the content of today may not be able to work with the record
        last = found.steps[-1].node if found.steps else "the input"
        found.difference = f"after {last} a node raised {type(error).__name__}, which it did not in the run"
    found.answers = journal.answers
    if found.is_equal:
        found.difference = _unfinished(recording, found) or _unasked(journal)
    return found


def _playable(recording: Recording, spec: GraphSpec) -> Any:
    """Return the graph, compiled, with the recorded answers in place of the nodes of the world."""
    graph = spec.build()
    for name in spec.world:
        del graph.nodes[name]  # and in again: the edges stay
        graph.add_node(name, _remembering(recording, name))
    return graph.compile(name=spec.id)


def _remembering(recording: Recording, name: str) -> Callable[[Any], Awaitable[Json]]:
    async def remember(_state: Any) -> Json:
        from langgraph.config import get_config  # noqa: PLC0415 - the caller has imported langgraph

        step = get_config()["metadata"]["langgraph_step"]
        known = recording.steps.get(step)
        if known is None or name not in known.named:
            raise ReplayDiffers(f"step {step} runs node {name}, which the run did not")
        return known.named[name]

    return remember


def _compare(recording: Recording, spec: GraphSpec, found: Replayed, step: int, payload: Mapping[str, Any]) -> None:
    node, wrote = payload["name"], payload["result"] or {}
    said = canonical(wrote)
    known = recording.steps.get(step)
    difference = ""
    if known is None:
        difference = "the run had ended before"
    elif node in known.named:
        if canonical(known.named[node]) != said:
            difference = _first_difference(known.named[node], decoded(said))
    elif said not in [canonical(each) for each in known.fanned_out]:
        difference = "the run did not come here, or wrote something else"
    found.steps.append(
        ReplayedStep(step=step, node=node, from_record=node in spec.world, sha256=digest(said), difference=difference)
    )
    if difference:
        found.difference = f"step {step}, node {node}: {difference}"


def _unfinished(recording: Recording, found: Replayed) -> str:
    """Return which recorded steps the replay did not come to."""
    reached = {each.step for each in found.steps}
    missing = [number for number, step in recording.steps.items() if number not in reached and step.named]
    return f"the run went on to step {missing[0]}, the replay did not" if missing else ""


def _unasked(journal: ReplayJournal) -> str:
    left = journal.left()
    if not left:
        return ""
    first = left[0]
    return f"the run asked {first.kind} {first.name} in {first.scope}, call {first.number}; the replay did not"


def _first_difference(recorded: Any, replayed: Any, path: str = "") -> str:
    """Return where two JSON values differ first, in words that show no text from outside."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in sorted(recorded.keys() | replayed.keys()):
            if key not in replayed:
                return f"{path}/{key} is missing now"
            if key not in recorded:
                return f"{path}/{key} was not there"
            if recorded[key] != replayed[key]:
                return _first_difference(recorded[key], replayed[key], f"{path}/{key}")
    if isinstance(recorded, list) and isinstance(replayed, list):
        for number, (one, other) in enumerate(zip(recorded, replayed, strict=False)):
            if one != other:
                return _first_difference(one, other, f"{path}/{number}")
        return f"{path} has {len(replayed)} items instead of {len(recorded)}"
    return f"{path or 'the whole'} is {_shown(replayed)} instead of {_shown(recorded)}"


def _shown(value: Any) -> str:
    data = canonical(value)
    if isinstance(value, (bool, int, float)) or value is None:
        return data.decode()
    return f"{len(data)} bytes with hash {digest(data)[:12]}"
