"""What content is made of: frozen descriptions that discovery collects.

Making a spec checks and registers nothing. Discovery asks each one for its `faults()`, so that
every fault of every file is told at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import BaseModel

from aurora.kernel.deadline import within
from aurora.kernel.errors import ContentInvalid
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.untrusted import UntrustedText
from aurora.sdk.migration import Migration
from aurora.sdk.prompt import Prompt, read_prompt
from aurora.sdk.signature import parameters_of

if TYPE_CHECKING:
    from aurora.kernel.clock import Clock
    from aurora.kernel.models import Alert
    from aurora.sdk.knowledge import Knowledge

UNANSWERED = "unanswered"
"""Kind of the finding that stands for those of an enricher which took too long."""

_ID = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
_VERSION = re.compile(r"\d+(?:\.\d+){0,2}")
_TITLE = re.compile(r"\S.*")
_TIERS = ("T0", "T1", "T2", "T3", "T4")
_SDK = __name__.rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What all content says about itself."""

    kind: ClassVar[str] = "content"

    id: str
    """Unique within its kind, lower case; it is written into verdicts, so it never changes."""

    version: str
    """One to three numbers. A change that may alter a verdict raises it."""

    title: str
    """One line for people."""

    risk: str = "T0"
    """Highest action tier that it may cause by itself; T0 only reads."""

    file: str = field(init=False, compare=False)
    """Source file of the module that made it."""

    def __post_init__(self) -> None:
        # The first frame outside the SDK is the module that wrote the spec down. Attributes of the
        # object cannot tell: an agent has no function, and that of a graph may live elsewhere.
        depth = 1
        while (frame := sys._getframe(depth)).f_globals.get("__name__", "").startswith(_SDK):  # noqa: SLF001
            depth += 1
        object.__setattr__(self, "file", frame.f_code.co_filename)

    @property
    def order(self) -> tuple[int, ...]:
        """The version as a key to sort by: 10 comes after 9, and 1.0 is 1."""
        numbers = [int(each) for each in self.version.split(".")] if _matches(_VERSION, self.version) else []
        while numbers and not numbers[-1]:
            numbers.pop()
        return tuple(numbers)

    def faults(self) -> Iterator[str]:
        """Yield one sentence for everything that is wrong with it."""
        if not _matches(_ID, self.id):
            yield f"id {self.id!r} must be lower-case words joined by '.', '_' or '-'"
        if not _matches(_VERSION, self.version):
            yield f"version {self.version!r} must be text of one to three numbers, such as '1' or '1.2'"
        if not _matches(_TITLE, self.title):
            yield "title must be one line of text"
        if self.risk not in _TIERS:
            yield f"risk {self.risk!r} must be one of {', '.join(_TIERS)}"


@dataclass(frozen=True, kw_only=True)
class RuleSpec(Spec):
    """A written rule of the deterministic analyst."""

    kind: ClassVar[str] = "rule"

    doc: str
    """What it weighs and why, with sources: the docstring of the function."""

    function: Callable[..., Any]

    def faults(self) -> Iterator[str]:
        yield from super().faults()
        yield from _function_faults(self.function, self.doc)


@dataclass(frozen=True, kw_only=True)
class EnricherSpec(Spec):
    """Finds evidence about an alert that the alert itself does not carry."""

    kind: ClassVar[str] = "enricher"

    doc: str
    """What it looks up and where: the docstring of the function."""

    function: Callable[..., Any]

    timeout: timedelta = timedelta(seconds=10)
    """How long an alert waits for it; a source that answers later is one that does not answer."""

    async def find(self, alert: Alert, knowledge: Knowledge, *, clock: Clock) -> Sequence[Finding]:
        """Return what it finds about an alert; if it takes too long, one finding that says so.

        So a slow source costs an alert seconds and is seen in its verdict. It cannot stop an enricher that blocks the
        event loop instead of waiting.

        Raises:
            Exception: whatever the enricher raises, except that it took too long.
        """
        try:
            return cast(
                "Sequence[Finding]", await within(self.timeout, lambda: self.function(alert, knowledge), clock=clock)
            )
        except TimeoutError:
            limit = f"{self.timeout.total_seconds():g} s"
            return [
                Finding(
                    kind=UNANSWERED,
                    provenance=Provenance.AGENT_DERIVED,
                    text=UntrustedText(f"enricher {self.id} gave no answer within {limit}: what it knows is missing"),
                    source=f"{self.id} {self.version}",
                    attributes={"enricher": self.id},
                )
            ]

    def faults(self) -> Iterator[str]:
        yield from super().faults()
        yield from _function_faults(self.function, self.doc)
        if not _is_duration(self.timeout):
            yield "timeout must be a timedelta above zero"


@dataclass(frozen=True, kw_only=True)
class ToolSpec(Spec):
    """What an agent may look up. A tool only reads: what changes the world is an action, and is approved."""

    kind: ClassVar[str] = "tool"

    doc: str
    """What it looks up: the docstring of the function, which the model reads too."""

    function: Callable[..., Any]
    """Async; returns findings. Its arguments are those that a model gives, and `context`, a `ToolContext`."""

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """The arguments that a model gives, as a strict model: unknown names and wrong types are refused.

        Raises:
            TypeError: an argument has no type.
        """
        return parameters_of(self.function, name=self.id)

    def faults(self) -> Iterator[str]:
        yield from super().faults()
        yield from _function_faults(self.function, self.doc)
        if not iscoroutinefunction(self.function):
            yield "function must be an async function"
        if not str(self.id).replace("_", "a").isalnum():
            yield f"id {self.id!r} may hold letters, digits and '_' only: it is what models call it by"
        if self.risk != "T0":
            yield f"risk {self.risk!r}: a tool only reads (T0); what changes the world is an action"
        try:
            _ = self.parameters
        except (TypeError, ValueError, NameError) as error:
            yield f"arguments cannot be described to a model: {error}"


@dataclass(frozen=True, kw_only=True)
class AgentSpec(Spec):
    """Who thinks: a role, its prompt, the tools it may use and the form of its answer."""

    kind: ClassVar[str] = "agent"

    description: str = ""

    prompt: str
    """Path of the prompt, from the folder of the file that makes the spec: `prompts/<agent>.md`."""

    answer: type[BaseModel]
    """What it answers with. Anything else that a model says is repaired, or not used."""

    tools: tuple[str, ...] = ()
    """Ids of the tools it may call."""

    @cached_property
    def instructions(self) -> Prompt:
        """The prompt file, read once.

        Raises:
            ContentInvalid: it is missing, or has no head.
        """
        return read_prompt(Path(self.file).parent / self.prompt)

    def faults(self) -> Iterator[str]:
        yield from super().faults()
        try:
            _ = self.instructions
        except ContentInvalid as error:
            yield error.message
        if not _is_class(self.answer) or not issubclass(self.answer, BaseModel):
            yield "answer must be a pydantic model"
        if _is_text(self.tools):
            yield f"tools must be a tuple of ids: write ({self.tools!r},)"
        elif len(set(self.tools)) != len(self.tools):
            yield "tools must be named once each"


@dataclass(frozen=True, kw_only=True)
class GraphSpec(Spec):
    """How agents work together: a LangGraph state machine, not yet compiled."""

    kind: ClassVar[str] = "graph"

    description: str
    build: Callable[..., Any]
    """Returns the graph; called when a run needs it, so that listing content stays cheap."""

    state: type
    """The typed dict of its state: JSON values only."""

    nodes: tuple[str, ...]
    """Names of its nodes, in the order in which a person would read them."""

    world: tuple[str, ...] = ()
    """Nodes that ask or tell the world something, other than through agents: they use the ports of the context.
    A replay does not run them, but takes what they answered."""

    outcome: Callable[[Mapping[str, Any]], str] = field(default=lambda _state: "done")
    """One word for how a run ended, from its last state: what `aurora runs` shows."""

    migrations: tuple[Migration, ...] = ()
    """How runs that began with other versions go on with this one, where theirs are not installed any more."""

    def faults(self) -> Iterator[str]:
        yield from super().faults()
        if not _is_callable(self.build):
            yield "build must be a function"
        if strangers := sorted(set(self.world) - set(self.nodes)):
            yield f"world names what is no node: {', '.join(strangers)}"
        if not _is_class(self.state):
            yield "state must be a class"
        if not self.nodes or len(set(self.nodes)) != len(self.nodes):
            yield "nodes must be named, once each"
        yield from self._migration_faults()

    def _migration_faults(self) -> Iterator[str]:
        if not _are_migrations(self.migrations):
            yield "migrations must be a tuple of Migration"
            return
        for each in self.migrations:
            if not _matches(_VERSION, each.from_version):
                yield f"from_version {each.from_version!r} must be text of one to three numbers, such as '1' or '1.2'"
            yield from each.faults(version=self.version, nodes=self.nodes)
        versions = [each.from_version for each in self.migrations]
        if len(set(versions)) != len(versions):
            yield "migrations must be declared once for each version that they lead from"


# Plugins need not be type-checked, so values are looked at as the objects that they really are.


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_callable(value: object) -> bool:
    return callable(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_duration(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta()


def _are_migrations(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, Migration) for each in value)


def _is_class(value: object) -> bool:
    return isinstance(value, type)


def _function_faults(function: object, doc: str) -> Iterator[str]:
    if not callable(function):
        yield "function must be a function"
    if not doc.strip():
        yield "it has no docstring: say what it weighs or looks up, and why"
