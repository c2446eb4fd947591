"""The working tier on disk: a thread that a restart does not change, and that several may write to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from aurora.kernel.clock import Clock
from aurora.kernel.errors import InputError, NotFound
from memory.composing import Carried, compose
from memory.context import Context
from memory.guard.redaction import redact
from memory.items import Trust
from memory.keeping import kept
from memory.ledger import DropReason
from memory.messages import Message, role
from memory.packing import joined, trusted
from memory.ports import Fence, Redactor, Summariser, Transactions
from memory.presets import DEFAULT_MEMORY, MemoryPreset
from memory.summary import summarised, texts_of
from memory.tokens import TokenCounter

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.tiers.thread_rows import Head, Row, Rows
    from memory.tiers.thread_work import New, Work


_FRAME_TOKENS = 64
"""What the frame of a summary costs, with room for what it escapes."""


class UntrustedInstructions(InputError):
    """Instructions were to be added that nobody vouches for; nothing of the call was stored."""

    code = "aurora.memory.untrusted_instructions"


class ThreadMemory:
    """The messages of one thread of one tenant, with what each costs, and an extract of those that fell out.

    The window keeps the rules of `SlidingWindow`. What falls out stays on disk, with the reason; the extract is
    written in the transaction that lets it fall. Messages come back as dicts that chat libraries read
    (`memory.keeping.kept`). Writers of a thread are put in order by its row, so none overwrites another.

    Args:
        transactions: Of the database with memory's tables.
        tenant: Whose thread it is; from the runtime, never from data.
        thread: Its name, 1 to 200 characters.
        clock: Tells when messages were written.
        preset: How much the window holds.
        count: Counts tokens; left out, a counter with the default encoding does. Messages that were counted by
            another encoding are counted again.
        redactor: Takes secrets out before anything is stored.
        summariser: Writes the summary where there is one; after the commit, so that nobody waits for a model with
            the thread locked. The extract stands until it has answered, and where it fails.

    Raises:
        ValueError: `tenant` or `thread` is empty or too long.
    """

    def __init__(
        self,
        transactions: Transactions,
        *,
        tenant: str,
        thread: str,
        clock: Clock,
        preset: MemoryPreset = DEFAULT_MEMORY,
        count: TokenCounter | None = None,
        redactor: Redactor = redact,
        summariser: Summariser | None = None,
    ) -> None:
        if not 0 < len(tenant) <= 64 or not 0 < len(thread) <= 200:
            raise ValueError(f"tenant={tenant!r} must have 1 to 64 characters, and thread={thread!r} 1 to 200")
        self._transactions = transactions
        self._tenant = tenant
        self._thread = thread
        self._clock = clock
        self._preset = preset
        self._count = count if count is not None else TokenCounter()
        self._redactor = redactor
        self._summariser = summariser

    async def add(
        self,
        messages: Sequence[Message],
        *,
        pinned: bool = False,
        trust: Trust | None = None,
        fence: Fence | None = None,
    ) -> list[int]:
        """Store messages in one transaction, and let go of the oldest where there is no room.

        A message with an `id` that the thread has already is not stored again, whatever it says now: a node may
        run twice, and a graph may hand in its whole state. Without an `id` each call is a new message.

        Args:
            messages: LangChain messages or dicts of that shape, oldest first.
            pinned: Keep them in the window until they are unpinned.
            trust: How far they are trusted, at most; see `memory.packing.trusted`.
            fence: Called in the transaction before anything is written.

        Returns:
            The position of each message in the thread, for `pin` and `unpin`.

        Raises:
            NoRoom: system messages and pins would not fit any more; nothing was stored.
            UnreadableMessage: one has no role, or an id that is too long; nothing was stored.
            UntrustedInstructions: a system message is less trusted than `OPERATOR`; nothing was stored.
            AuroraError: the fence or the database refused; nothing was stored.
        """
        # Redacting and counting take milliseconds a page: off the loop, and before the thread is locked.
        new = await asyncio.to_thread(self._prepared, messages, trust)
        async with self._writing(fence) as work:
            ids = {each.content["id"] for each in new if "id" in each.content}
            known = await work.rows.known(ids) if ids else {}
            positions = await asyncio.to_thread(work.take, new, known, is_pinned=pinned)
        await self._condense(work, fence)
        return positions

    async def view(self, *, max_tokens: int | None = None) -> Context:
        """Return the thread as a prompt needs it: a fresh process gets the same as the one that wrote it.

        Args:
            max_tokens: Of prompt and answer together, where it is less than the preset's. What does not fit then
                is in the summary and in `left_out` of this view; the thread itself keeps it.

        Raises:
            NoRoom: system messages and pins alone are too much for `max_tokens`.
            ValueError: `max_tokens` is below 1.
        """
        size = self._preset
        if max_tokens is not None and max_tokens < size.max_tokens:
            size = replace(size, max_tokens=max_tokens)
        async with self._transactions.reading() as connection:
            rows = self._rows(connection)
            head = await rows.head()
            window = await rows.window()
            lost = await rows.lost()
        return await asyncio.to_thread(self._composed, size, head, window, lost)

    async def pin(self, position: int, *, fence: Fence | None = None) -> None:
        """Keep the message at `position`, and the calls and results it belongs to.

        Raises:
            NotFound: the window does not hold it (any more).
            NoRoom: pins and system messages would not fit any more; it was not pinned.
        """
        async with self._writing(fence) as work:
            await asyncio.to_thread(_found, work.window.pin, position)
            await work.rows.pin(position, is_pinned=True)

    async def unpin(self, position: int, *, fence: Fence | None = None) -> None:
        """Let the message at `position` go when its time comes, which may be now.

        Raises:
            NotFound: the window does not hold it (any more).
        """
        async with self._writing(fence) as work:
            await asyncio.to_thread(_found, work.window.unpin, position)
            await work.rows.pin(position, is_pinned=False)
        await self._condense(work, fence)

    async def clear(self, *, fence: Fence | None = None) -> None:
        """Let go of everything but system messages and pins, and of the summary. The rows stay."""
        async with self._writing(fence) as work:
            await work.clear()

    async def erase(self, *, fence: Fence | None = None) -> int:
        """Delete the thread from the database; return how many messages it had."""
        async with self._transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            return await self._rows(connection).erase()

    def _prepared(self, messages: Sequence[Message], trust: Trust | None) -> list[New]:
        from memory.tiers.thread_work import New  # noqa: PLC0415 - SQLAlchemy, which only a database needs

        found: list[New] = []
        for message in messages:
            content = kept(message, self._redactor)
            trusted_as = trusted(content, trust)
            if role(content) == "system" and trusted_as < Trust.OPERATOR:
                raise UntrustedInstructions(
                    f"a system message is trusted as {trusted_as.name.lower()}; instructions need operator: add such "
                    "text as a turn of the user, framed as data",
                    trust=trusted_as.name.lower(),
                )
            found.append(New(content, self._count.count_message(content), trusted_as))
        return found

    @asynccontextmanager
    async def _writing(self, fence: Fence | None) -> AsyncIterator[Work]:
        from memory.tiers.thread_work import Work  # noqa: PLC0415 - as above

        async with self._transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            work = Work(self._rows(connection), preset=self._preset, count=self._count)
            await work.begin(self._clock.now())
            yield work
            await work.finish(self._clock.now())

    async def _condense(self, work: Work, fence: Fence | None) -> None:
        """Put a model's summary in the place of the extract, unless another writer was faster."""
        if self._summariser is None or not work.fallen or not work.after.summary:
            return
        from memory.tiers.thread_work import BY_MODEL  # noqa: PLC0415 - as above

        texts = texts_of(entry.message for entry in work.fallen)
        if work.before.summary:
            texts.insert(0, work.before.summary.removeprefix(BY_MODEL))
        room = max(1, self._preset.summary_tokens - _FRAME_TOKENS)
        text = await summarised(texts, tokens=room, count=self._count, summariser=self._summariser)
        if text is None:
            return
        async with self._transactions.writing() as connection:
            if fence is not None:
                await fence(connection)
            rows, now = self._rows(connection), self._clock.now()
            head = await rows.lock(now)
            if (head.summary, head.summarised_to) == (work.after.summary, work.after.summarised_to):
                trust = min(head.trust, Trust.AGENT_DERIVED)
                await rows.set_head(replace(head, summary=BY_MODEL + text, trust=trust), now)

    def _composed(
        self, size: MemoryPreset, head: Head | None, rows: Sequence[Row], lost: Mapping[DropReason, int]
    ) -> Context:
        from memory.tiers.thread_work import carried_by, entry_of, recounted  # noqa: PLC0415 - as above

        entries = [entry_of(recounted(row, self._count)) for row in rows]
        units, latest = joined(entries, pins={row.position for row in rows if row.is_pinned})
        thread = compose(
            units,
            latest=latest,
            room=size.prompt_tokens,
            summary_tokens=size.summary_tokens,
            carried=carried_by(head, lost) if head is not None else Carried(),
            count=self._count,
        )
        return Context(
            system=thread.messages(is_system=True),
            turns=thread.messages(is_system=False),
            dropped=sum(lost.values()),
            summary=thread.summary,
            left_out=thread.left_out,
            counts=MappingProxyType({reason: lost.get(reason, 0) for reason in DropReason}),
            tokens=thread.tokens,
            max_tokens=size.prompt_tokens,
            answer_tokens=size.answer_tokens,
            trust=thread.trust,
        )

    def _rows(self, connection: AsyncConnection) -> Rows:
        from memory.tiers.thread_rows import Rows  # noqa: PLC0415 - as above

        return Rows(connection, tenant=self._tenant, thread=self._thread)


def _found(change: Callable[[int], None], position: int) -> None:
    try:
        change(position)
    except LookupError as missing:
        raise NotFound(str(missing), position=position) from missing
