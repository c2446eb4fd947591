"""Versions of graphs and the steps between them, as their authors declare them."""

from __future__ import annotations

from typing import Any

import pytest

from aurora.sdk import START, GraphSpec, Migration


def graph(**changed: Any) -> GraphSpec:
    given = {"id": "g", "version": "2", "title": "G", "description": "Reads.", "nodes": ("read", "tell")}
    return GraphSpec(**{"build": dict, "state": dict, **given, **changed})


def step(**changed: Any) -> Migration:
    return Migration(**{"from_version": "1", "state": dict, "after": {"old": "read", "older": START}, **changed})


async def later(state: dict[str, Any]) -> dict[str, Any]:
    return state


def test_versions_are_ordered_by_number_and_not_as_text() -> None:
    ordered = sorted(["1.10", "2", "1.9", "10", "1", "1.0.1"], key=lambda version: graph(version=version).order)

    assert ordered == ["1", "1.0.1", "1.9", "1.10", "2", "10"]


def test_a_zero_at_the_end_makes_no_other_version() -> None:
    assert graph(version="1.0.0").order == graph(version="1").order == (1,)


def test_a_migration_to_nodes_that_there_are_has_no_fault() -> None:
    assert list(graph(migrations=(step(), step(from_version="0.9"))).faults()) == []


@pytest.mark.parametrize(
    ("migrations", "fault"),
    [
        ((step(after={"old": "gone"}),), "goes on after what is no node of this version: gone"),
        ((step(from_version="2"),), "a migration leads from version '2' to itself"),
        ((step(from_version="newest"),), "from_version 'newest' must be text of one to three numbers"),
        ((step(from_version=1),), "from_version 1 must be text of one to three numbers"),
        ((step(state="renamed"),), "must be a function that is not async"),
        ((step(state=later),), "must be a function that is not async"),
        ((step(after=["old"]),), "must map names of nodes to names of nodes"),
        ((step(after={"old": 1}),), "must map names of nodes to names of nodes"),
        ((step(), step()), "once for each version that they lead from"),
        ([step()], "migrations must be a tuple of Migration"),
        ((step,), "migrations must be a tuple of Migration"),
    ],
)
def test_what_is_wrong_with_a_migration_is_told(migrations: Any, fault: str) -> None:
    (told,) = graph(migrations=migrations).faults()

    assert fault in told
