"""What every database owes to the checkpoint saver. Subclass it in one file per database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import ormsgpack
import pytest
from langgraph.checkpoint.base import INTERRUPT, Checkpoint, empty_checkpoint
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from aurora.kernel.errors import Conflict, LeaseLost, StorageError, StorageUnavailable, Unfenced
from aurora.storage.checkpoints import AuroraSaver
from aurora.storage.checkpoints.reading import PAGE
from aurora.storage.checkpoints.saver import EPOCH, TASK_ID
from aurora.storage.checkpoints.tables import CheckpointBlobModel, CheckpointModel, CheckpointWriteModel
from aurora.storage.engine import WRITES, open_engine
from aurora.storage.models import TaskModel
from tests.contract.checkpoints.ledger import claim, config_of, take_over

Config = dict[str, Any]


def new_thread() -> str:
    return f"thread-{uuid4()}"


def checkpoint_of(**values: Any) -> Checkpoint:
    versions = dict.fromkeys(values, "0000000001.00000000")
    return {**empty_checkpoint(), "channel_values": values, "channel_versions": versions}


async def put(saver: AuroraSaver, config: Config, *, step: int = 0, **values: Any) -> Any:
    checkpoint = checkpoint_of(**values)
    metadata: Any = {"source": "loop", "step": step, "parents": {}}
    return await saver.aput(config, checkpoint, metadata, checkpoint["channel_versions"])


async def count_rows(engine: AsyncEngine, table: type[Any], thread_id: str) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(table).where(table.thread_id == thread_id))


async def checkpoints_of_epoch(engine: AsyncEngine, thread_id: str, epoch: int) -> set[str]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(CheckpointModel.checkpoint_id, CheckpointModel.details).where(CheckpointModel.thread_id == thread_id)
        )
        return {row[0] for row in rows if row[1][EPOCH] == epoch}


@asynccontextmanager
async def holding_tasks(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Hold what a commit needs (the row of every task; in SQLite the file) until the block ends."""
    async with engine.execution_options(**{WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT id FROM tasks FOR UPDATE"))
        yield connection


async def started(*work: Any) -> list[asyncio.Task[Any]]:
    """Start coroutines together and let each run to its first wait on the database."""
    tasks = [asyncio.ensure_future(one) for one in work]
    await asyncio.sleep(0)
    return tasks


class SaverContract:
    """Provide the fixtures `engine` (with all tables) and `url` (of the same database)."""

    async def test_a_put_without_task_and_epoch_is_refused_and_stores_nothing(self, engine) -> None:
        thread_id = new_thread()
        config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": "x"}}
        async with AuroraSaver.open(engine) as saver:
            with pytest.raises(Unfenced):
                await put(saver, config)
            with pytest.raises(Unfenced):
                await saver.aput_writes(config, [("a", 1)], "node")
            with pytest.raises(Unfenced):
                await put(saver, config_of(thread_id, "not-a-uuid", epoch=1))

        assert await count_rows(engine, CheckpointModel, thread_id) == 0
        assert await count_rows(engine, CheckpointWriteModel, thread_id) == 0

    @pytest.mark.parametrize("wrong", [{"epoch": 2}, {"state": "succeeded"}, {"thread_id": "thread-of-another"}])
    async def test_a_put_is_refused_when_the_task_does_not_run_under_that_claim(self, engine, wrong) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with engine.execution_options(**{WRITES: True}).begin() as connection:
            await connection.execute(update(TaskModel).values(**wrong))

        async with AuroraSaver.open(engine) as saver:
            with pytest.raises(LeaseLost):
                await put(saver, config, long="x" * 100)

        assert await count_rows(engine, CheckpointModel, thread_id) == 0
        assert await count_rows(engine, CheckpointBlobModel, thread_id) == 0

    async def test_only_the_holder_of_the_lease_writes_while_two_race_for_one_thread(self, engine, url) -> None:
        """Once a claim is committed, not one checkpoint of the earlier epoch is added, whatever is under way."""
        async with open_engine(url) as other, AuroraSaver.open(engine) as old, AuroraSaver.open(other) as new:
            for round_ in range(20):
                config = await claim(engine, thread_id := new_thread())
                warm = asyncio.Event()

                async def write_until_lost(
                    config: Config = config, warm: asyncio.Event = warm, after: int = round_ % 5
                ) -> None:
                    for step in count():
                        if step == after:
                            warm.set()
                        try:
                            await put(old, config, step=step, value="x" * 100)
                        except LeaseLost:
                            return

                writers = await started(*(write_until_lost() for _ in range(3)))
                await warm.wait()
                successor = await take_over(other, config)
                at_claim = await checkpoints_of_epoch(other, thread_id, 1)
                for step in range(3):
                    await put(new, successor, step=step)
                await asyncio.gather(*writers)

                assert await checkpoints_of_epoch(engine, thread_id, 1) == at_claim
                assert len(await checkpoints_of_epoch(engine, thread_id, 2)) == 3

    async def test_a_claim_that_commits_while_a_put_waits_wins(self, engine) -> None:
        """The fence locks the row it checks: a plain SELECT would still see the old epoch here."""
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            async with holding_tasks(engine) as connection:
                await connection.execute(update(TaskModel).values(epoch=2))
                (late,) = await started(put(saver, config))
                await asyncio.wait([late], timeout=0.05)
                assert not late.done()

            with pytest.raises(LeaseLost):
                await late
        assert await count_rows(engine, CheckpointModel, thread_id) == 0

    async def test_a_paused_run_that_wakes_late_writes_nothing(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            await saver.aput_writes(stored, [("a", 1)], "node")
            successor = await take_over(engine, stored)
            awake = {"configurable": stored["configurable"] | {EPOCH: successor["configurable"][EPOCH]}}
            await saver.aput_writes(awake, [("a", 2)], "node-again")

            await saver.flush(thread_id, epoch=2)
            with pytest.raises(LeaseLost):
                await saver.flush(thread_id, epoch=1)
            found = await saver.aget_tuple(config)

        assert found.pending_writes == [("node-again", "a", 2)]

    async def test_what_waits_during_a_commit_shares_the_next_one(self, engine) -> None:
        configs = [await claim(engine, new_thread()) for _ in range(40)]
        async with AuroraSaver.open(engine) as saver:
            async with holding_tasks(engine):
                (first,) = await started(put(saver, configs[0]))
                await asyncio.wait([first], timeout=0.05)
                rest = await started(*(put(saver, config) for config in configs[1:]))
            await asyncio.gather(first, *rest)

            assert saver.commits == 2

    async def test_a_lost_lease_fails_only_its_own_run_of_a_group(self, engine) -> None:
        configs = [await claim(engine, new_thread()) for _ in range(5)]
        await take_over(engine, configs[2])
        async with AuroraSaver.open(engine) as saver:
            async with holding_tasks(engine):
                puts = await started(*(put(saver, config, step=7, value="x" * 100) for config in configs))
            outcomes = await asyncio.gather(*puts, return_exceptions=True)

            assert [isinstance(outcome, LeaseLost) for outcome in outcomes] == [False, False, True, False, False]
            assert saver.commits <= 2
            found = [await saver.aget_tuple(config) for config in configs]
        assert [one and one.metadata["step"] for one in found] == [7, 7, None, 7, 7]

    async def test_rows_that_the_database_refuses_fail_only_their_own_run_of_a_group(self, engine) -> None:
        configs = [await claim(engine, new_thread()) for _ in range(3)]
        async with AuroraSaver.open(engine) as saver:
            await saver.aput_writes(
                {"configurable": {**configs[1]["configurable"], "checkpoint_id": "x"}},
                [("a", 1)],
                "node",
                "a lone surrogate: \ud800",
            )
            async with holding_tasks(engine):
                puts = await started(*(put(saver, config) for config in configs))
            outcomes = await asyncio.gather(*puts, return_exceptions=True)

            assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
            assert isinstance(outcomes[1], StorageError)
            assert await saver.aget_tuple(configs[0])
            assert await saver.aget_tuple(configs[2])

    async def test_writes_wait_for_the_checkpoint_and_share_its_commit(self, engine, url) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            for node in range(5):
                await saver.aput_writes(stored, [("a", node)], f"node-{node}")
            before = saver.commits, await count_rows(engine, CheckpointWriteModel, thread_id)
            await put(saver, stored, step=1)

            assert before == (1, 0)
            assert saver.commits == 2
            assert await count_rows(engine, CheckpointWriteModel, thread_id) == 5

    @pytest.mark.parametrize("channel", ["__error__", "__interrupt__", "__resume__"])
    async def test_errors_interrupts_and_resumes_are_stored_at_once_with_what_was_buffered(
        self, engine, channel
    ) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            await saver.aput_writes(stored, [("a", 1)], "sibling")
            await saver.aput_writes(stored, [(channel, "why")], "node")

            assert await count_rows(engine, CheckpointWriteModel, thread_id) == 2

    async def test_a_read_sees_what_is_buffered(self, engine) -> None:
        config = await claim(engine, new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            await saver.aput_writes(stored, [("a", {"n": 1})], "node")

            read = await saver.aget_tuple(config)
            await saver.aput_writes(stored, [("b", 2)], "other")
            listed = [found async for found in saver.alist(config)]

        assert read.pending_writes == [("node", "a", {"n": 1})]
        assert ("other", "b", 2) in listed[0].pending_writes

    async def test_a_reader_is_not_failed_by_a_run_that_lost_its_lease(self, engine) -> None:
        config = await claim(engine, new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            await saver.aput_writes(stored, [("a", 1)], "node")
            await take_over(engine, config)

            assert (await saver.aget_tuple(config)).pending_writes == []

    async def test_flush_waits_for_the_put_of_a_cancelled_run(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            async with holding_tasks(engine):
                (cancelled,) = await started(put(saver, config))
                cancelled.cancel()
                await asyncio.wait([cancelled])
                (flushing,) = await started(saver.flush(thread_id))
                await asyncio.wait([flushing], timeout=0.05)
                assert not flushing.done()
            await flushing

            assert await count_rows(engine, CheckpointModel, thread_id) == 1

    async def test_closing_stores_what_is_buffered(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            await saver.aput_writes(stored, [("a", 1)], "node")

        assert await count_rows(engine, CheckpointWriteModel, thread_id) == 1
        with pytest.raises(StorageError, match="closed"):
            await put(saver, config)

    async def test_an_error_in_the_callers_block_comes_out_as_it_is(self, engine) -> None:
        with pytest.raises(KeyError):
            async with AuroraSaver.open(engine):
                raise KeyError("the caller's own")

    async def test_a_locked_database_is_unavailable_and_the_writes_wait_for_the_flush(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine, patience=timedelta(milliseconds=50)) as saver:
            stored = await put(saver, config)
            await saver.aput_writes(stored, [("a", 1)], "node")
            async with holding_tasks(engine):
                with pytest.raises(StorageUnavailable) as refused:
                    await put(saver, stored, step=1)
            await saver.flush(thread_id)

            assert refused.value.retryable
            found = await saver.aget_tuple(config)
        assert found.metadata["step"] == 0
        assert found.pending_writes == [("node", "a", 1)]

    async def test_a_repeated_write_stays_as_it_was_and_a_repeated_interrupt_is_replaced(self, engine) -> None:
        config = await claim(engine, new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            for value in ("first", "second"):
                await saver.aput_writes(stored, [("a", value)], "node")
                await saver.aput_writes(stored, [(INTERRUPT, value)], "node")
            found = await saver.aget_tuple(config)

        assert sorted(found.pending_writes) == [("node", INTERRUPT, "second"), ("node", "a", "first")]

    async def test_a_big_state_is_stored_once_and_comes_back_whole(self, engine) -> None:
        big = {"text": "x" * 3_000_000, "rows": [{"n": n, "name": f"host-{n}"} for n in range(20_000)]}
        config = await claim(engine, thread_id := new_thread())
        checkpoint = checkpoint_of(big=big, step=0)
        async with AuroraSaver.open(engine) as saver:
            stored = await saver.aput(config, checkpoint, {"source": "loop", "step": 0}, checkpoint["channel_versions"])
            for step in range(1, 4):
                versions = {**checkpoint["channel_versions"], "step": f"{step}"}
                later = {
                    **empty_checkpoint(),
                    "channel_values": {"big": big, "step": step},
                    "channel_versions": versions,
                }
                stored = await saver.aput(stored, later, {"source": "loop", "step": step}, {"step": f"{step}"})
            found = await saver.aget_tuple(config)

        assert found.checkpoint["channel_values"] == {"big": big, "step": 3}
        assert await count_rows(engine, CheckpointBlobModel, thread_id) == 1

    async def test_crafted_bytes_run_no_code(self, engine, tmp_path) -> None:
        """Each payload would create the file if its bytes could name a function to call."""
        proof = tmp_path / "executed"
        inner = ormsgpack.packb(["pathlib", "Path", str(proof), "touch"])
        payloads = [
            ("msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["os", "system", f"touch {proof}"])))),
            ("msgpack", ormsgpack.packb(ormsgpack.Ext(1, ormsgpack.packb(["os", "system", [f"touch {proof}"]])))),
            (
                "msgpack",
                ormsgpack.packb(
                    ormsgpack.Ext(2, ormsgpack.packb(["subprocess", "run", {"args": ["touch", str(proof)]}]))
                ),
            ),
            ("msgpack", ormsgpack.packb(ormsgpack.Ext(3, inner))),
            (
                "msgpack",
                ormsgpack.packb(
                    ormsgpack.Ext(5, ormsgpack.packb(["subprocess", "run", {"args": ["touch", str(proof)]}, "x"]))
                ),
            ),
        ]
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            stored = await put(saver, config)
            async with engine.execution_options(**{WRITES: True}).begin() as connection:
                for idx, (kind, value) in enumerate(payloads):
                    await connection.execute(
                        insert(CheckpointWriteModel).values(
                            thread_id=thread_id,
                            checkpoint_ns="",
                            task_id="crafted",
                            idx=idx,
                            task_path="",
                            channel="a",
                            checkpoint_id=stored["configurable"]["checkpoint_id"],
                            type=kind,
                            value=value,
                        )
                    )
            read = await saver.aget_tuple(config)

        assert len(read.pending_writes) == len(payloads)
        assert not proof.exists()

    @pytest.mark.parametrize("kind", ["pickle", "json", "msgpack"])
    async def test_forms_that_the_saver_never_writes_are_refused(self, engine, kind) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            await put(saver, config, a="x" * 100)
            async with engine.execution_options(**{WRITES: True}).begin() as connection:
                await connection.execute(
                    update(CheckpointBlobModel)
                    .where(CheckpointBlobModel.thread_id == thread_id)
                    .values(type=kind, value=b"\xc1")
                )

            with pytest.raises(StorageError):
                await saver.aget_tuple(config)

    async def test_a_long_thread_is_listed_whole_and_filtered_across_pages(self, engine) -> None:
        config = await claim(engine, new_thread())
        async with AuroraSaver.open(engine) as saver:
            for step in range(2 * PAGE + 3):
                await put(saver, config, step=step)

            listed = [found.metadata["step"] async for found in saver.alist(config)]
            limited = [found.metadata["step"] async for found in saver.alist(config, limit=PAGE + 1)]
            early = [found.metadata["step"] async for found in saver.alist(config, filter={"step": 1}, limit=1)]
            injected = [found async for found in saver.alist(config, filter={"step' = 1 OR '1": "1"})]

        assert listed == list(reversed(range(2 * PAGE + 3)))
        assert limited == listed[: PAGE + 1]
        assert early == [1]
        assert injected == []

    async def test_pruning_drops_only_the_values_that_no_checkpoint_uses(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        kept, replaced = "k" * 100, "r" * 100
        async with AuroraSaver.open(engine) as saver:
            first = checkpoint_of(kept=kept, replaced=replaced)
            stored = await saver.aput(config, first, {"source": "loop", "step": 0}, first["channel_versions"])
            second = {
                **empty_checkpoint(),
                "channel_values": {"kept": kept, "replaced": "s" * 100},
                "channel_versions": {**first["channel_versions"], "replaced": "2"},
            }
            await saver.aput(stored, second, {"source": "loop", "step": 1}, {"replaced": "2"})

            await saver.aprune([thread_id])
            found = await saver.aget_tuple(config)

        assert found.checkpoint["channel_values"] == {"kept": kept, "replaced": "s" * 100}
        assert await count_rows(engine, CheckpointBlobModel, thread_id) == 2

    async def test_a_thread_whose_newest_checkpoint_builds_on_older_ones_is_not_pruned(self, engine) -> None:
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            await put(saver, config)
            metadata: Any = {"source": "loop", "step": 1, "counters_since_delta_snapshot": {"messages": [1, 1]}}
            await saver.aput(config, checkpoint_of(), metadata, {})

            await saver.aprune([thread_id])

        assert await count_rows(engine, CheckpointModel, thread_id) == 2

    async def test_an_unknown_way_to_prune_is_refused(self, engine) -> None:
        async with AuroraSaver.open(engine) as saver:
            with pytest.raises(ValueError, match="keep_oldest"):
                await saver.aprune(["any"], strategy="keep_oldest")

    async def test_a_thread_is_not_copied_over_another(self, engine) -> None:
        config = await claim(engine, source := new_thread())
        async with AuroraSaver.open(engine) as saver:
            await put(saver, config, a="x" * 100)
            await saver.acopy_thread(source, target := new_thread())

            with pytest.raises(Conflict):
                await saver.acopy_thread(source, target)

        assert await count_rows(engine, CheckpointModel, target) == 1

    async def test_a_clone_with_a_wider_allow_list_shares_what_is_buffered(self, engine) -> None:
        """LangGraph clones the saver when a graph is compiled in strict mode; the runner flushes the original."""
        config = await claim(engine, thread_id := new_thread())
        async with AuroraSaver.open(engine) as saver:
            clone = saver.with_allowlist([("tests.contract.checkpoints.clauses", "SaverContract")])
            stored = await put(clone, config)
            await clone.aput_writes(stored, [("a", 1)], "node")
            await saver.flush(thread_id)

        assert clone is not saver
        assert await count_rows(engine, CheckpointWriteModel, thread_id) == 1

    async def test_configs_that_reads_return_carry_the_claim_of_the_reader(self, engine) -> None:
        config = await claim(engine, new_thread())
        async with AuroraSaver.open(engine) as saver:
            await put(saver, await put(saver, config))
            found = await saver.aget_tuple(config)
            listed = [one async for one in saver.alist(config)]

            assert await put(saver, found.parent_config, step=9)
        claims = [one["configurable"][TASK_ID] for one in (found.config, found.parent_config, listed[1].config)]
        assert claims == [config["configurable"][TASK_ID]] * 3
