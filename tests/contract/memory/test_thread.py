"""A thread on disk: nothing lost, nothing twice, the same after a restart."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from sqlalchemy import select

from aurora.kernel.errors import LeaseLost, NotFound, StorageUnavailable
from aurora.testing import ManualClock
from memory import DropReason, MemoryPreset
from memory.items import Trust
from memory.keeping import UnreadableMessage
from memory.models import MessageModel, ThreadModel
from memory.packing import NoRoom
from memory.ports import Transactions
from memory.summary import Author
from memory.tiers.thread import ThreadMemory, UntrustedInstructions
from memory.tokens import ESTIMATE, TokenCounter

SMALL = MemoryPreset(name="small", max_messages=6, max_tokens=2_000, answer_share=0.2)
SYSTEM = {"role": "system", "content": "You weigh evidence."}
SECRET = "AKIAIOSFODNN7EXAMPLQ"  # the shape of an access key; no such key exists


@pytest.fixture
def threads(transactions: Transactions, clock: ManualClock) -> Any:
    """Opens a thread, as a process that starts anew would."""

    def opened(name: str = "t1", *, tenant: str = "acme", preset: MemoryPreset = SMALL, **more: Any) -> ThreadMemory:
        return ThreadMemory(transactions, tenant=tenant, thread=name, clock=clock, preset=preset, **more)

    return opened


def human(text: object, **more: object) -> dict[str, object]:
    return {"role": "user", "content": str(text), **more}


def call(*ids: str, **more: object) -> dict[str, object]:
    made = [{"id": each, "name": "lookup", "args": {"ip": "203.0.113.77"}} for each in ids]
    return {"role": "assistant", "content": "", "tool_calls": made, **more}


def result(id: str, text: str = "nothing known") -> dict[str, object]:
    return {"role": "tool", "content": text, "tool_call_id": id}


async def rows(transactions: Transactions, model: Any = MessageModel) -> list[Any]:
    async with transactions.reading() as connection:
        table = model.__table__
        return list(await connection.execute(select(table).order_by(*table.primary_key)))


async def test_a_thread_that_nobody_wrote_to_is_empty(threads: Any) -> None:
    view = await threads().view()

    assert (view.messages, view.summary, view.dropped, view.tokens) == ([], None, 0, 0)


async def test_messages_come_back_in_order_with_what_they_cost(threads: Any, transactions: Transactions) -> None:
    messages = [SYSTEM, human("look"), call("a"), result("a")]

    positions = await threads().add(messages)

    view = await threads().view()
    assert positions == [0, 1, 2, 3]
    assert view.messages == messages
    count = TokenCounter()
    assert [(row.tokens, row.encoding) for row in await rows(transactions)] == [
        (count.count_message(each), "cl100k_base") for each in messages
    ]
    assert view.tokens == sum(count.count_message(each) for each in messages)


async def test_what_falls_out_stays_on_disk_with_the_reason_and_stands_in_the_summary(
    threads: Any, transactions: Transactions
) -> None:
    await threads().add([human("The analyst approved isolating 203.0.113.77."), SYSTEM])

    for number in range(8):
        await threads().add([human(f"turn {number}")])

    view = await threads().view()
    assert view.system == (SYSTEM,)
    assert view.turns == tuple(human(f"turn {number}") for number in range(3, 8))
    assert "approved isolating 203.0.113.77" in view.summary.text
    assert view.summary.messages == view.dropped == view.counts[DropReason.WINDOW_FULL] == 4
    stored = {row.position: row.dropped for row in await rows(transactions)}
    assert [at for at, reason in stored.items() if reason == "window_full"] == [0, 2, 3, 4]
    assert len(stored) == 10, "nothing is deleted"


async def test_one_by_one_or_all_at_once_makes_no_difference(threads: Any) -> None:
    messages = [SYSTEM, *(human(f"turn {number} " + "word " * 90) for number in range(12)), call("a"), result("a")]

    await threads("together").add(messages)
    for each in messages:
        await threads("singly").add([each])

    together, singly = await threads("together").view(), await threads("singly").view()
    assert together.messages == singly.messages
    assert together.counts == singly.counts
    assert together.summary.messages == singly.summary.messages


async def test_a_fresh_process_has_the_same_view(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from aurora.kernel.clock import SystemClock
from memory import MemoryPreset
from memory.connections import open_database
from memory.tiers.thread import ThreadMemory

async def main():
    async with open_database(sys.argv[1]) as transactions:
        preset = MemoryPreset(name="small", max_messages=6, max_tokens=2_000, answer_share=0.2)
        thread = ThreadMemory(transactions, tenant="acme", thread="t1", clock=SystemClock(), preset=preset)
        if sys.argv[2] == "write":
            await thread.add([{"role": "system", "content": "weigh"}])
            for number in range(20):
                text = f"step {number}: 203.0.113.{number} was approved. " + "word " * 150
                await thread.add([{"role": "user", "content": text}], pinned=number == 4)
        print(await thread.view())
        print(await thread.view(max_tokens=700))

asyncio.run(main())
"""

    def run(how: str) -> str:
        command = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'memory.db'}", how]
        # Sets have another order in each process, and nothing may depend on it.
        environment = os.environ | {"PYTHONHASHSEED": "1" if how == "write" else "2"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    written, read = await asyncio.to_thread(run, "write"), await asyncio.to_thread(run, "read")

    assert written == read
    assert "token_ceiling" in read
    assert "203.0.113.0 was approved" in read


async def test_two_writers_of_a_thread_lose_no_message(threads: Any, transactions: Transactions) -> None:
    async def write(writer: int) -> list[int]:
        thread = threads()
        return [(await thread.add([human(f"{writer}/{number}")]))[0] for number in range(5)]

    positions = await asyncio.gather(*(write(writer) for writer in range(6)))

    assert sorted(position for each in positions for position in each) == list(range(30))
    stored = await rows(transactions)
    assert sorted(row.content["content"] for row in stored) == sorted(f"{w}/{n}" for w in range(6) for n in range(5))
    assert sum(row.dropped is None for row in stored) == SMALL.max_messages
    assert (await threads().view()).summary.messages == 24


async def test_a_node_that_runs_twice_adds_its_messages_once(threads: Any, transactions: Transactions) -> None:
    state = [SystemMessage("weigh", id="m0"), HumanMessage("look", id="m1"), AIMessage("benign", id="m2")]

    first = await threads().add(state)
    again, both = await asyncio.gather(threads().add(state[1:]), threads().add([*state, HumanMessage("why?", id="m3")]))

    assert (first, again, both) == ([0, 1, 2], [1, 2], [0, 1, 2, 3])
    assert [row.content["id"] for row in await rows(transactions)] == ["m0", "m1", "m2", "m3"]


async def test_a_message_that_fell_out_does_not_come_back_by_being_added_again(threads: Any) -> None:
    await threads().add([human(number, id=f"m{number}") for number in range(10)])

    assert await threads().add([human("0", id="m0")]) == [0]

    assert human("0", id="m0") not in (await threads().view()).messages


async def test_an_id_within_one_call_counts_once(threads: Any) -> None:
    assert await threads().add([human("x", id="m"), human("y", id="m"), human("z")]) == [0, 0, 1]


async def test_what_langchain_hands_in_langchain_can_read(threads: Any) -> None:
    calling = AIMessage("", tool_calls=[{"id": "a", "name": "f", "args": {"n": 1}}])
    await threads().add([HumanMessage("look"), calling, ToolMessage("found", tool_call_id="a")])

    assert [each["role"] for each in (await threads().view()).messages] == ["user", "assistant", "tool"]


async def test_no_secret_reaches_the_disk(threads: Any, transactions: Transactions) -> None:
    preset = MemoryPreset(name="one", max_messages=1)
    lookup = {"id": "a", "name": "f", "args": {"k": SECRET}}

    for message in (human(f"key {SECRET}"), {"role": "assistant", "tool_calls": [lookup]}, human("next")):
        await threads(preset=preset).add([message])

    everything = json.dumps(
        [str(each) for model in (MessageModel, ThreadModel) for each in await rows(transactions, model)]
    )
    assert SECRET not in everything
    assert "[redacted:" in everything


@pytest.mark.parametrize(
    "text", ["a\x00b", "half \ud800 a pair", "\u202e", "'; DROP TABLE memory_messages; --", "%s :new"]
)
async def test_hostile_text_is_stored(threads: Any, text: str) -> None:
    await threads(f"thread {text[:3].encode(errors='replace').hex()}").add([human(text, id="m")])

    view = await threads(f"thread {text[:3].encode(errors='replace').hex()}").view()

    assert view.messages[0]["content"] == text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


async def test_tenants_and_threads_do_not_see_each_other(threads: Any) -> None:
    await threads().add([human("mine", id="m")])

    assert await threads(tenant="other").add([human("theirs", id="m")]) == [0]
    assert await threads("t2").add([human("another", id="m")]) == [0]

    assert (await threads().view()).messages == [human("mine", id="m")]
    assert await threads(tenant="other").erase() == 1
    assert (await threads().view()).messages == [human("mine", id="m")]


async def test_a_writer_whose_lease_is_lost_writes_nothing(threads: Any, transactions: Transactions) -> None:
    async def fence(connection: object) -> None:
        raise LeaseLost("another worker owns the task")

    for write in (
        threads().add([human("late")], fence=fence),
        threads().clear(fence=fence),
        threads().erase(fence=fence),
    ):
        with pytest.raises(LeaseLost):
            await write

    assert (await rows(transactions), await rows(transactions, ThreadModel)) == ([], [])


async def test_results_without_their_call_are_kept_on_disk_but_not_shown(threads: Any) -> None:
    await threads().add([result("nobody asked"), call("a"), result("a"), result("a", "again")])

    view = await threads().view()

    assert view.messages == [call("a"), result("a")]
    assert view.counts[DropReason.ORPHAN_RESULT] == view.counts[DropReason.REPEATED_RESULT] == 1


async def test_a_pinned_message_stays_until_it_is_unpinned(threads: Any) -> None:
    [position] = await threads().add([human("the task")], pinned=True)
    await threads().add([human(number) for number in range(9)])
    assert (await threads().view()).messages[0] == human("the task")

    await threads().unpin(position)
    await threads().add([human("next")])

    view = await threads().view()
    assert human("the task") not in view.messages
    assert "the task" in view.summary.text


async def test_a_message_may_be_pinned_afterwards(threads: Any) -> None:
    await threads().add([human("the task")])
    await threads().pin(0)

    await threads().add([human(number) for number in range(9)])

    assert (await threads().view()).messages[0] == human("the task")


@pytest.mark.parametrize("position", [0, 99, -1])
async def test_what_is_not_in_the_window_cannot_be_pinned(threads: Any, position: int) -> None:
    await threads().add([human(number) for number in range(9)])

    with pytest.raises(NotFound, match="does not hold"):
        await threads().pin(position)


async def test_a_view_with_a_smaller_ceiling_changes_nothing(threads: Any) -> None:
    await threads().add([SYSTEM, *(human(f"turn {number} 203.0.113.{number} " + "word " * 250) for number in range(5))])
    before = await threads().view()

    small = await threads().view(max_tokens=1_200)

    assert small.tokens <= small.max_tokens == 960
    assert small.system == (SYSTEM,)
    assert [each.reason for each in small.left_out] == [DropReason.TOKEN_CEILING] * (5 - len(small.turns))
    assert small.summary.messages == 5 - len(small.turns)
    assert await threads().view() == before


async def test_what_does_not_fit_alone_is_shown_without_its_middle_and_kept_whole(
    threads: Any, transactions: Transactions
) -> None:
    text = "line 203.0.113.77\n" * 3000
    await threads().add([human("what is it?"), human(text)])

    view = await threads().view()

    assert view.tokens <= view.max_tokens
    assert view.turns[0] == human("what is it?")
    assert "characters left out" in view.turns[1]["content"]
    assert [(each.position, each.reason) for each in view.left_out] == [(1, DropReason.SHORTENED)]
    assert (await rows(transactions))[1].content["content"] == text


async def test_instructions_without_room_are_refused_and_nothing_is_stored(
    threads: Any, transactions: Transactions
) -> None:
    with pytest.raises(NoRoom):
        await threads().add([human("before"), {"role": "system", "content": "rule " * 2000}])

    assert await rows(transactions) == []


async def test_a_message_without_a_role_is_refused_and_nothing_is_stored(
    threads: Any, transactions: Transactions
) -> None:
    with pytest.raises(UnreadableMessage):
        await threads().add([human("before"), {"content": "who says so?"}])

    assert await rows(transactions) == []


async def test_instructions_need_somebody_who_vouches_for_them(threads: Any, transactions: Transactions) -> None:
    with pytest.raises(UntrustedInstructions):
        await threads().add([SYSTEM], trust=Trust.TOOL_OUTPUT)

    assert await rows(transactions) == []


async def test_trust_is_bounded_by_the_role_and_the_summary_has_the_least(
    threads: Any, transactions: Transactions
) -> None:
    operator = Trust.OPERATOR
    await threads().add([human("mail says 203.0.113.77 is ours")])
    await threads().add([human("close it"), call("a"), result("a")], trust=operator)
    await threads().add([{"role": "assistant", "content": f"turn {number}"} for number in range(6)])

    stored = await rows(transactions)

    assert [row.trust for row in stored[:4]] == [
        Trust.EXTERNAL_CONTENT,
        operator,
        Trust.AGENT_DERIVED,
        Trust.TOOL_OUTPUT,
    ]
    view = await threads().view()
    assert view.summary.trust is Trust.EXTERNAL_CONTENT
    assert view.trust is Trust.EXTERNAL_CONTENT


async def test_clearing_keeps_instructions_and_pins_and_the_rows(threads: Any, transactions: Transactions) -> None:
    await threads().add([SYSTEM, *(human(number) for number in range(9))])
    await threads().add([human("the task")], pinned=True)

    await threads().clear()

    view = await threads().view()
    assert view.messages == [SYSTEM, human("the task")]
    assert view.summary is None
    assert view.counts[DropReason.CLEARED] == view.dropped == 9
    assert len(await rows(transactions)) == 11
    assert await threads().add([human("next")]) == [11]


async def test_erasing_leaves_nothing(threads: Any, transactions: Transactions) -> None:
    await threads().add([human(number) for number in range(9)])

    assert await threads().erase() == 9

    assert (await rows(transactions), await rows(transactions, ThreadModel)) == ([], [])
    assert await threads().add([human("anew")]) == [0]


async def test_another_encoding_counts_the_window_again(threads: Any, transactions: Transactions) -> None:
    await threads(count=TokenCounter(ESTIMATE)).add([human("one two three four")])

    seen = (await threads().view()).tokens
    await threads().add([human("x")])

    assert seen == TokenCounter().count_message(human("one two three four"))
    first = (await rows(transactions))[0]
    assert (first.tokens, first.encoding) == (seen, "cl100k_base")


class Model:
    """A summariser that may do something before it answers."""

    def __init__(self, answer: str | Exception, before: Any = None) -> None:
        self.answer, self.before, self.asked = answer, before, []

    async def __call__(self, texts: Any, /, *, tokens: int) -> str:
        self.asked.append(list(texts))
        if self.before is not None:
            await self.before()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_a_model_writes_the_summary_where_there_is_one(threads: Any) -> None:
    model = Model("The first turns were idle.")
    await threads(summariser=model).add([human(f"turn {number}") for number in range(8)], trust=Trust.OPERATOR)

    view = await threads().view()

    assert (view.summary.text, view.summary.author) == ("The first turns were idle.", Author.MODEL)
    assert (view.summary.messages, view.summary.trust) == (2, Trust.AGENT_DERIVED)
    assert model.asked == [["turn 0", "turn 1"]]
    await threads(summariser=model).add([human("turn 8")])
    assert model.asked[1] == ["The first turns were idle.", "turn 2"]


@pytest.mark.parametrize("answer", [StorageUnavailable("down"), "", "word " * 3000, "It was 198.51.100.9."])
async def test_where_the_model_is_of_no_use_the_extract_stands(threads: Any, answer: Any) -> None:
    await threads(summariser=Model(answer)).add([human(f"turn {number}") for number in range(8)])

    summary = (await threads().view()).summary

    assert (summary.author, summary.text) == (Author.EXTRACT, "turn 0\nturn 1")


async def test_a_model_that_is_slower_than_the_next_writer_does_not_overwrite_it(threads: Any) -> None:
    async def another_writes() -> None:
        await threads().add([human("203.0.113.77 was approved"), human("turn 9")])

    model = Model("old news", before=another_writes)
    await threads(summariser=model).add([human(f"turn {number}") for number in range(8)])

    summary = (await threads().view()).summary

    assert summary.author is Author.EXTRACT
    assert (summary.messages, "turn 3" in summary.text) == (4, True)
