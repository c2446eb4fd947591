"""How a run that began with another version of its graph is carried over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

State = dict[str, Any]

START = "__start__"
"""Stands for the beginning of a graph, where a node is named after which a run goes on."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Carries runs over from another version of a graph to the one whose spec names it.

    It is used only where that other version is not installed any more, once for a run, before anything else of the
    run happens. A run that stands where `after` names nothing is refused, not guessed at.
    """

    from_version: str
    """Version that the run began with."""

    state: Callable[[State], State]
    """Gets the state that the old version left, and returns that with which this one goes on: the whole of it.

    Keys that this version has not are left out. Pure: it may be called again when a worker dies at it.
    """

    after: Mapping[str, str] = field(default_factory=dict)
    """By node of the old version at which a run may stand: the node of this version after which it goes on, or `START`.

    To stand at a node is to have still to do it, or all of it again: it waits there, or was cut off in its middle.
    """

    def faults(self, *, version: str, nodes: Sequence[str]) -> Iterator[str]:
        """Yield one sentence for everything that is wrong with it.

        Args:
            version: Of the spec that names it.
            nodes: Of that spec.
        """
        if self.from_version == version:
            yield f"a migration leads from version {version!r} to itself"
        if not _is_plain_function(self.state):
            yield f"state of the migration from version {self.from_version!r} must be a function that is not async"
        if not _is_mapping_of_text(self.after):
            yield f"after of the migration from version {self.from_version!r} must map names of nodes to names of nodes"
        elif strangers := sorted(set(self.after.values()) - {*nodes, START}):
            yield (
                f"the migration from version {self.from_version!r} goes on after what is no node of this version: "
                f"{', '.join(strangers)}"
            )


def _is_plain_function(value: object) -> bool:
    return callable(value) and not iscoroutinefunction(value)


def _is_mapping_of_text(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) for pair in value.items() for each in pair)
