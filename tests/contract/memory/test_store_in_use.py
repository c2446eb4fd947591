"""AuroraStore in a graph, in a program without an event loop, and opened by its URL."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from memory.connections import open_database
from memory.embed.hashing import HashingEmbedder
from memory.store import AuroraStore, StoreBlocked

INDEX: Any = {"dims": 512, "fields": ["text"]}


class Counting(TypedDict):
    seen: int


async def test_a_graph_keeps_values_and_each_names_its_run(database_url: str) -> None:
    async def remember(state: Counting, runtime: Runtime[None]) -> Counting:
        assert runtime.store is not None
        await runtime.store.aput(("notes",), "last", {"text": "kept by a graph"})
        return {"seen": len(await runtime.store.asearch(("notes",), query="graph"))}

    builder = StateGraph(Counting)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    builder.add_edge("remember", END)

    async with AuroraStore.open(database_url, tenant="t1", index=INDEX, embedder=HashingEmbedder()) as store:
        graph = builder.compile(store=store)
        result = await graph.ainvoke({"seen": 0}, {"configurable": {"thread_id": "case-7"}})
        (item,) = await store._memory.list()

    assert result == {"seen": 1}
    assert [(source.uri, source.span) for source in item.sources] == [("run:case-7", "remember")]


async def test_what_was_put_is_there_after_a_restart(database_url: str) -> None:
    async with AuroraStore.open(database_url, index=INDEX, embedder=HashingEmbedder()) as store:
        await store.aput(("ns",), "k", {"text": "zebra crossing"})

    async with AuroraStore.open(database_url, index=INDEX, embedder=HashingEmbedder()) as store:
        found = await store.asearch((), query="zebra")

    assert [(each.key, each.value, each.score is not None) for each in found] == [
        ("k", {"text": "zebra crossing"}, True)
    ]


def test_a_program_without_an_event_loop_uses_it_too(database_url: str) -> None:
    with AuroraStore.open_sync(database_url, index=INDEX, embedder=HashingEmbedder()) as store:
        store.put(("ns",), "k", {"text": "zebra"})
        item = store.get(("ns",), "k")
        found = store.search(("ns",), query="zebra")
        namespaces = store.list_namespaces()
        store.delete(("ns",), "k")
        gone = store.get(("ns",), "k")

    assert item is not None
    assert item.value == {"text": "zebra"}
    assert [each.key for each in found] == ["k"]
    assert namespaces == [("ns",)]
    assert gone is None
    with pytest.raises(StoreBlocked, match="ended"):
        store.get(("ns",), "k")


def test_a_url_that_cannot_be_opened_is_told_to_the_thread_that_asked() -> None:
    with pytest.raises(Exception, match="driver"), AuroraStore.open_sync("mysql://host/name"):
        pytest.fail("it was opened")


async def test_a_thread_beside_the_event_loop_may_wait_and_the_loop_itself_may_not() -> None:
    async with AuroraStore.open("sqlite://", embedder=HashingEmbedder()) as store:
        await asyncio.to_thread(store.put, ("ns",), "k", {"n": 1})
        item = await asyncio.to_thread(store.get, ("ns",), "k")

        with pytest.raises(StoreBlocked, match="aget"):
            store.get(("ns",), "k")

    assert item is not None
    assert item.value == {"n": 1}


async def test_many_at_once_in_one_store(database_url: str) -> None:
    async with AuroraStore.open(database_url, index=INDEX, embedder=HashingEmbedder()) as store:
        await asyncio.gather(*(store.aput(("ns",), str(n), {"text": f"number {n}"}) for n in range(20)))
        found = await asyncio.gather(*(store.asearch(("ns",), query=f"number {n}", limit=1) for n in range(20)))

        assert len(await store.asearch(("ns",), limit=50)) == 20
    assert [each[0].key for each in found] == [str(n) for n in range(20)]


async def test_two_tenants_in_one_database_have_their_own_values(database_url: str) -> None:
    async with open_database(database_url):
        pass
    async with (
        AuroraStore.open(database_url, tenant="t1", index=INDEX, embedder=HashingEmbedder()) as ours,
        AuroraStore.open(database_url, tenant="t2", index=INDEX, embedder=HashingEmbedder()) as theirs,
    ):
        await ours.aput(("ns",), "k", {"text": "ours"})

        assert await theirs.aget(("ns",), "k") is None
        assert await theirs.asearch((), query="ours") == []
