"""The runtime's recall on PostgreSQL: by pgvector where its index is, else by the scan, with equal results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import make_url

from aurora.bootstrap import Runtime, open_runtime
from aurora.kernel.evidence import Provenance
from aurora.settings import Settings
from aurora.storage.remembered import Connections
from memory.connections import open_database
from memory.embed.hashing import HashingEmbedder
from memory.items import NewItem, Source, Tier
from memory.memory import Memory
from memory.pgvector import PgVectorSearch, prepare
from memory.recall import Request
from memory.reembedding import drop_old_vectors, reembed
from memory.scanning import VectorScan
from memory.serving import LOOKED_AGAIN, Looking, Serving, open_searches, told

PEOPLE = (Source(uri="user:ada", provenance=Provenance.HUMAN),)
SPRAY = "Password spraying against the VPN concentrator from one address"
SHELL = "A web shell on the mail gateway spawned cmd.exe"
BEACON = "Periodic beacons to a host that was registered yesterday"


def settings(url: str) -> Settings:
    return Settings.model_validate({"database": {"url": url}, "memory": {"embedder": "hashing"}})


@pytest.fixture
async def runtime(database_url: str) -> AsyncIterator[Runtime]:
    async with open_runtime(settings(database_url)) as runtime:
        yield runtime


async def keep(memory: Memory, *texts: str) -> None:
    items = [NewItem(tier=Tier.EPISODIC, kind="case", text=text, sources=PEOPLE) for text in texts]
    await memory.remember(items, actor="user:ada")


async def answer(memory: Memory, query: str) -> list[tuple[str, float]]:
    found = await memory.recall(Request(query=query, floor=0.0))
    return [(str.__str__(hit.item.text), round(hit.relevance, 3)) for hit in found.items]


def served(runtime: Runtime) -> type[Any]:
    return type(runtime._searches.of("default", embedder=1, dimensions=HashingEmbedder().dimensions))


async def test_the_runtime_asks_the_database_nothing_before_something_is_searched(runtime: Runtime) -> None:
    memory = runtime.memory("default")

    await memory.list()
    await memory.stats()

    assert runtime._searches.why == "nothing was searched yet"
    is_postgres = runtime.storage.engine.dialect.name == "postgresql"
    assert served(runtime) is (Looking if is_postgres else VectorScan)


@pytest.mark.integration
async def test_recall_is_served_by_pgvector_where_its_index_is_and_by_the_scan_before_with_equal_results(
    postgres_database_url: str,
) -> None:
    texts = [f"{text} in case {number}" for number in range(30) for text in (SPRAY, SHELL, BEACON)]
    async with open_runtime(settings(postgres_database_url)) as runtime:
        memory = runtime.memory("default")
        await keep(memory, *texts)
        scanned = await answer(memory, "web shell on a gateway")
        assert served(runtime) is VectorScan
        assert (await told(memory))[0] == "scan"

        await runtime.tending()()
        assert await told(memory) == ("pgvector", "the database has pgvector's index")

    async with open_runtime(settings(postgres_database_url)) as runtime:
        memory = runtime.desk("default", person="ada").memory
        indexed = await answer(memory, "web shell on a gateway")
        assert served(runtime) is PgVectorSearch
        await keep(memory, "A web shell that was written when the index was there")
        assert len(await answer(memory, "web shell on a gateway")) >= len(indexed)

    assert indexed
    # Which of the cases that say the same comes first is a matter of rounding.
    assert [text.partition(" in case ")[0] for text, _ in indexed] == [
        text.partition(" in case ")[0] for text, _ in scanned
    ]
    assert [relevance for _, relevance in indexed] == pytest.approx([relevance for _, relevance in scanned], abs=2e-3)


@pytest.mark.integration
async def test_a_process_that_scans_notices_the_index_in_the_end(postgres_database_url: str) -> None:
    async with open_runtime(settings(postgres_database_url)) as runtime:
        memory = runtime.memory("default")
        await keep(memory, SPRAY, SHELL)
        await answer(memory, "shell")
        await runtime.tending()()

        kinds = {served(runtime) for _ in range(LOOKED_AGAIN)}
        assert kinds >= {VectorScan, Looking}
        await answer(memory, "shell")

        assert served(runtime) is PgVectorSearch


@pytest.mark.integration
async def test_another_embedder_gets_its_index_while_it_is_empty_and_the_old_one_keeps_its_own(
    postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.pgvector.BUILT_AT_OPENING", 2)
    old, new = HashingEmbedder(dimensions=128), HashingEmbedder(dimensions=256)
    async with open_database(postgres_database_url) as transactions, open_runtime(settings("sqlite://")) as parts:

        async def opened(embedder: HashingEmbedder) -> tuple[Memory, Serving]:
            serving = await open_searches(transactions, embedder=embedder)
            memory = Memory(
                transactions, tenant="t1", clock=parts.clock, ids=parts.ids, embedder=embedder, index=serving
            )
            return memory, serving

        memory, serving = await opened(old)
        await keep(memory, SPRAY, SHELL, BEACON)
        assert serving.kind == "pgvector"

        memory, serving = await opened(new)
        assert serving.kind == "pgvector", serving.why
        assert (await answer(memory, "web shell"))[0][0] == SHELL
        assert isinstance(serving.of("t1", embedder=1, dimensions=128), PgVectorSearch)

        await reembed(memory)
        await drop_old_vectors(memory)
        assert (await answer(memory, "web shell"))[0][0] == SHELL


@pytest.mark.integration
async def test_who_may_not_make_the_extension_scans_and_reembeds(postgres_database_url: str) -> None:
    url = make_url(postgres_database_url)
    role = f"few_rights_{url.database}"
    async with open_runtime(settings(postgres_database_url)) as owner:
        async with Connections(owner.storage).writing() as connection:
            await connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
            for rights, things in (("SELECT, INSERT, UPDATE, DELETE", "TABLES"), ("USAGE", "SEQUENCES")):
                await connection.exec_driver_sql(f"GRANT {rights} ON ALL {things} IN SCHEMA public TO {role}")
        async with open_runtime(settings(url.set(username=role).render_as_string(hide_password=False))) as runtime:
            memory = runtime.memory("default")
            await keep(memory, SPRAY, SHELL)

            await runtime.tending()()

            assert (await answer(memory, "web shell"))[0][0] == SHELL
            assert served(runtime) is VectorScan
            async with Connections(runtime.storage).writing() as connection:
                why = await prepare(connection, embedder=1, dimensions=512)
                assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1, "the transaction goes on"
            assert why is not None
            assert "permission denied" in why
        async with Connections(owner.storage).writing() as connection:
            await connection.exec_driver_sql(f"DROP OWNED BY {role}")
            await connection.exec_driver_sql(f"DROP ROLE {role}")


@pytest.mark.integration
async def test_who_comes_while_another_makes_the_index_waits_a_little_and_scans(
    postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.pgvector._PATIENCE", "50ms")
    embedder = HashingEmbedder()
    async with open_database(postgres_database_url) as transactions:
        async with transactions.writing() as connection:
            assert await prepare(connection, embedder=1, dimensions=embedder.dimensions) is None
            other = await open_searches(transactions, embedder=HashingEmbedder(dimensions=128))

        assert other.kind == "scan"
        assert "others are using the vectors" in other.why
        both = await asyncio.gather(*(open_searches(transactions, embedder=embedder) for _ in range(2)))
        assert [each.kind for each in both] == ["pgvector", "pgvector"]


@pytest.mark.integration
async def test_a_search_looks_each_item_up_by_its_key_before_there_are_statistics(postgres_database_url: str) -> None:
    """With an index of states instead, 3,000 new items took minutes: each search compared all with all."""
    async with open_database(postgres_database_url) as transactions, open_runtime(settings("sqlite://")) as parts:
        embedder = HashingEmbedder()
        serving = await open_searches(transactions, embedder=embedder)
        memory = Memory(transactions, tenant="t1", clock=parts.clock, ids=parts.ids, embedder=embedder, index=serving)
        await keep(memory, *(f"{SPRAY} in case {number}" for number in range(200)))
        search = serving.of("t1", embedder=1, dimensions=embedder.dimensions)
        assert isinstance(search, PgVectorSearch)
        question = str([1.0] * embedder.dimensions)

        async with transactions.reading() as connection:
            explained = await connection.exec_driver_sql(
                f"EXPLAIN {search._statement(None, '')}", (question, "t1", [*range(64)], 5)
            )
            plan = "\n".join(row[0] for row in explained)

        assert "Index Scan using pk_memory_items" in plan, plan
        assert "ix_memory_items" not in plan, plan
