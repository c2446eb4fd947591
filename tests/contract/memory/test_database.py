"""The database of a memory that nobody else opened: its tables, its transactions, its faults."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from aurora.kernel.errors import AuroraError, ConfigError, Conflict, StorageError, StorageUnavailable
from memory.connections import Database, open_database
from memory.hand import Hand
from memory.models import HeadModel
from memory.schema import create, is_there

NEW = "INSERT INTO memory_heads (tenant, number, hash) VALUES ($1, $2, $3)"
COUNT = "SELECT count(*) FROM memory_heads"


async def count(database: Database) -> int:
    async with database.reading() as connection:
        found: int = (await Hand(connection).fetch(COUNT))[0][0]
        return found


async def test_several_may_open_an_empty_database_at_once(database_url: str) -> None:
    async def opened() -> int:
        async with open_database(database_url) as database:
            return await count(database)

    assert await asyncio.gather(*(opened() for _ in range(4))) == [0, 0, 0, 0]


async def test_what_is_there_is_left_as_it_is(transactions: Database) -> None:
    async with transactions.writing() as connection:
        assert await is_there(connection)
        await Hand(connection).fetch(NEW, "t1", 7, b"x")
        await create(connection)

    assert await count(transactions) == 1


async def test_what_is_written_stays_when_the_database_is_opened_again(database_url: str) -> None:
    async with open_database(database_url) as database, database.writing() as connection:
        await Hand(connection).fetch(NEW, "t1", 7, b"x")

    async with open_database(database_url) as database:
        assert await count(database) == 1


async def test_an_error_takes_back_all_that_was_written(transactions: Database) -> None:
    async def write() -> None:
        async with transactions.writing() as connection:
            hand = Hand(connection)
            await hand.fetch(NEW, "t1", 1, b"x")
            await hand.each(NEW, [("t2", 1, b"x"), ("t3", 1, b"x")])
            raise StorageUnavailable("no further")

    with pytest.raises(StorageUnavailable, match="no further"):
        await write()

    assert await count(transactions) == 0


async def test_a_cancelled_writer_leaves_nothing_and_locks_nobody_out(transactions: Database) -> None:
    started = asyncio.Event()

    async def write() -> None:
        async with transactions.writing() as connection:
            await Hand(connection).fetch(NEW, "t1", 1, b"x")
            started.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        writer = group.create_task(write())
        await started.wait()
        writer.cancel()

    assert await count(transactions) == 0
    async with transactions.writing() as connection:
        await Hand(connection).fetch(NEW, "t1", 2, b"x")
    assert await count(transactions) == 1


async def test_values_are_values_however_many_they_are(transactions: Database) -> None:
    names = [f"t'{number}\"$1" for number in range(40_000)]
    async with transactions.writing() as connection:
        hand = Hand(connection)
        await hand.each(NEW, [(name, 1, b"x") for name in names[:3]])

        rows = await hand.fetch(
            f"SELECT tenant FROM memory_heads WHERE number = $1 AND tenant {hand.among('$2', 'text')} ORDER BY 1",
            1,
            hand.many(names),
        )

    assert [row[0] for row in rows] == sorted(names[:3])


async def test_a_database_that_another_writes_to_for_too_long_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    async with open_database(f"sqlite:///{file}", patience=timedelta(milliseconds=20)) as database:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StorageUnavailable, match="locked"):
                async with database.writing():
                    pytest.fail("two write at once")
        finally:
            other.close()

        assert await count(database) == 0


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, this is not a database at all\n" * 50)

    with pytest.raises(AuroraError, match="not a database"):
        async with open_database(f"sqlite:///{file}"):
            pytest.fail("it was opened")


@pytest.mark.integration  # needs PostgreSQL's driver
async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="reached"):
        async with open_database(f"postgresql://nobody@/none?host={tmp_path}"):
            pytest.fail("it was opened")


@pytest.mark.parametrize("url", ["", "memory.db", "mysql://root:secret@localhost/x"])
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite") as refused:
        async with open_database(url):
            pytest.fail("it was opened")

    assert "secret" not in str(refused.value)


async def test_a_database_in_memory_needs_no_file() -> None:
    async with open_database("sqlite://") as database:
        async with database.writing() as connection:
            await Hand(connection).fetch(NEW, "t1", 1, b"x")

        assert await count(database) == 1


async def test_transactions_of_a_database_in_memory_take_turns_readers_too() -> None:
    async with open_database("sqlite://") as database:

        async def write(number: int) -> int:
            async with database.writing() as connection:
                await Hand(connection).fetch(NEW, f"t{number}", 1, b"x")
                await asyncio.sleep(0)
            return await count(database)

        counts = await asyncio.gather(*(write(number) for number in range(20)))

        assert max(counts) == 20


async def test_a_cancelled_wait_for_a_database_in_memory_does_not_keep_the_turn() -> None:
    async with open_database("sqlite://") as database:
        async with database.writing() as connection, asyncio.TaskGroup() as group:
            waiting = group.create_task(count(database))
            await asyncio.sleep(0)
            waiting.cancel()
            await Hand(connection).fetch(NEW, "t1", 1, b"x")

        assert await count(database) == 1


async def test_a_transaction_within_one_of_a_database_in_memory_is_refused_and_takes_nothing_back() -> None:
    async with open_database("sqlite://") as database:
        async with database.writing() as connection:
            await Hand(connection).fetch(NEW, "t1", 1, b"x")
            with pytest.raises(StorageError, match="within another"):
                await count(database)

        assert await count(database) == 1


async def test_a_task_that_is_waited_for_within_a_transaction_of_a_database_in_memory_gives_up() -> None:
    async with open_database("sqlite://", patience=timedelta(milliseconds=20)) as database:
        async with database.writing() as connection:
            await Hand(connection).fetch(NEW, "t1", 1, b"x")
            with pytest.raises(StorageUnavailable, match="one connection"):
                await asyncio.create_task(count(database))

        assert await count(database) == 1


@pytest.mark.parametrize("way", ["fetch", "each"])
async def test_a_row_that_is_there_already_is_a_conflict_and_tells_no_values(transactions: Database, way: str) -> None:
    async def write() -> None:
        async with transactions.writing() as connection:
            hand = Hand(connection)
            if way == "fetch":
                await hand.fetch(NEW, "secret-name", 1, b"x")
            else:
                await hand.each(NEW, [("secret-name", 1, b"x")])

    await write()

    with pytest.raises(Conflict, match="memory_heads") as refused:
        await write()
    assert "secret-name" not in str(refused.value)


async def test_a_row_that_is_there_already_is_a_conflict_by_way_of_sqlalchemy_too(transactions: Database) -> None:
    async def write() -> None:
        async with transactions.writing() as connection:
            await connection.execute(insert(HeadModel).values(tenant="t1", number=1, hash=b"x"))

    await write()

    with pytest.raises(Conflict, match="memory_heads"):
        await write()


async def test_a_statement_that_the_database_refuses_for_good_is_not_to_be_tried_again(transactions: Database) -> None:
    async def ask() -> None:
        async with transactions.reading() as connection:
            await Hand(connection).fetch("SELECT one FROM nowhere")

    with pytest.raises(StorageError, match="nowhere") as refused:
        await ask()
    assert not refused.value.retryable


async def test_a_database_that_is_full_is_unavailable(tmp_path: Path) -> None:
    async def fill(database: Database) -> None:
        async with database.writing() as connection:
            hand = Hand(connection)
            await hand.fetch("PRAGMA max_page_count = 1")
            await hand.each(NEW, [(f"t{number}", 1, b"x" * 4000) for number in range(100)])

    async with open_database(f"sqlite:///{tmp_path / 'memory.db'}") as database:
        with pytest.raises(StorageUnavailable, match="full"):
            await fill(database)

        assert await count(database) == 0


async def test_a_database_that_may_only_be_read_says_so(tmp_path: Path) -> None:
    async def write(database: Database) -> None:
        async with database.writing() as connection:
            hand = Hand(connection)
            await hand.fetch("PRAGMA query_only = ON")
            await hand.fetch(NEW, "t1", 1, b"x")

    async with open_database(f"sqlite:///{tmp_path / 'memory.db'}") as database:
        with pytest.raises(StorageError, match="only be read") as refused:
            await write(database)

    assert not refused.value.retryable


async def test_a_commit_is_on_the_disk(tmp_path: Path) -> None:
    async with (
        open_database(f"sqlite:///{tmp_path / 'deep' / 'memory.db'}") as database,
        database.reading() as connection,
    ):
        mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar()
        sync = (await connection.execute(text("PRAGMA synchronous"))).scalar()

    assert (mode, sync) == ("wal", 2)


async def test_of_what_stands_in_line_the_first_fault_is_told(transactions: Database) -> None:
    async with transactions.reading() as connection:
        hand = Hand(connection)

        with pytest.raises(StorageError, match="nothing_of_the_kind"):
            await hand.at_once(
                hand.fetch("SELECT 1"),
                hand.fetch("SELECT 1 FROM nothing_of_the_kind"),
                hand.fetch("SELECT 1 FROM nor_this"),
            )


async def test_what_stands_in_line_is_answered_in_its_order(transactions: Database) -> None:
    async with transactions.reading() as connection:
        hand = Hand(connection)

        assert [rows[0][0] for rows in await hand.at_once(*(hand.fetch(f"SELECT {n}") for n in range(20)))] == [
            *range(20)
        ]
