"""Which version a run goes on with: decided from what is installed and what its checkpoints say, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from aurora.dispatch.versions import way_of
from aurora.kernel.errors import GraphVersionGone
from aurora.kernel.ids import RunId, TaskId
from aurora.kernel.models import Task
from aurora.sdk import GraphSpec, Migration


def graph(version: str, *origins: str) -> GraphSpec:
    """Return a version of a graph with migrations from those given."""
    steps = tuple(Migration(from_version=each, state=dict, after={}) for each in origins)
    given = {"build": dict, "state": dict, "nodes": ("read",)}
    return GraphSpec(id="g", version=version, title="G", description="Reads.", migrations=steps, **given)


def installed(*specs: GraphSpec) -> dict[str, GraphSpec]:
    return {each.version: each for each in sorted(specs, key=lambda each: each.order, reverse=True)}


def task(version: str | None = None) -> Task:
    return Task(
        id=TaskId(UUID(int=1)),
        tenant="acme",
        run_id=RunId(UUID(int=2)),
        graph="g",
        graph_version=version,
        thread_id="g:2",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        idempotency_key="k",
    )


@pytest.mark.parametrize(
    ("pinned", "chosen"),
    [(None, "10"), ("9", "9"), ("10", "10"), ("8", "10")],
    ids=["fresh", "older", "newest", "gone"],
)
def test_a_run_without_a_checkpoint_begins_as_it_is_pinned_or_else_with_the_newest(
    pinned: str | None, chosen: str
) -> None:
    way = way_of(task(pinned), installed(graph("9"), graph("10")), begun=False)

    assert (way.spec.version, way.steps) == (chosen, ())


def test_the_checkpoint_counts_and_not_the_row() -> None:
    way = way_of(task("2"), installed(graph("1"), graph("2", "1")), begun=True, recorded="1")

    assert (way.spec.version, way.steps) == ("1", ())


@pytest.mark.parametrize(
    ("specs", "steps"),
    [
        ([graph("2", "1")], ["2"]),
        ([graph("2", "1"), graph("3", "2")], ["2", "3"]),
        ([graph("2", "1"), graph("3", "2", "1")], ["3"]),
        ([graph("2", "1"), graph("3")], ["2"]),
        ([graph("2", "1", "3"), graph("3", "2")], ["2", "3"]),
    ],
    ids=["one", "row", "shortcut", "stops short", "circle"],
)
def test_a_version_that_is_gone_leads_to_the_newest_that_migrations_reach(
    specs: list[GraphSpec], steps: list[str]
) -> None:
    way = way_of(task("1"), installed(*specs), begun=True, recorded="1")

    assert [spec.version for _, spec in way.steps] == steps
    assert way.spec is way.steps[-1][1]
    assert [each.from_version for each, _ in way.steps] == ["1", *steps[:-1]]


@pytest.mark.parametrize("specs", [[graph("2")], [graph("3", "2")], [graph("2", "0"), graph("3", "2")]])
def test_a_version_from_which_nothing_leads_on_is_refused_with_what_there_is_and_what_to_do(
    specs: list[GraphSpec],
) -> None:
    with pytest.raises(GraphVersionGone) as refused:
        way_of(task("1"), installed(*specs), begun=True, recorded="1")

    assert refused.value.context["version"] == "1"
    assert refused.value.context["installed"] == ", ".join(installed(*specs))
    assert "install it beside the others, or declare a migration" in refused.value.message


def test_checkpoints_that_name_no_version_go_on_only_where_there_is_no_choice() -> None:
    assert way_of(task("2"), installed(graph("2")), begun=True).spec.version == "2"
    with pytest.raises(GraphVersionGone, match="leave only the one that was installed when it began"):
        way_of(task("2"), installed(graph("1"), graph("2", "1")), begun=True)
