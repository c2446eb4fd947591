"""Makes episodes of threads, and knowledge of what episodes repeat. In the background, each piece of work once.

Nothing is kept that the gate (`checked`) refuses, whoever wrote it: extracts, models and our own code alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from aurora.kernel.errors import AuroraError, NotFound
from aurora.kernel.evidence import Provenance
from memory.chain import Chain
from memory.guard import instruction_patterns
from memory.guard.trust import memory_ids
from memory.idle import LAST, NAME, bookmarks, idle
from memory.items import Item, NewItem, Remembered, Source, State, Tier, Trust
from memory.messages import role, text_of
from memory.models import HeadModel, JobModel, MessageModel, ThreadModel
from memory.reading import Items
from memory.recurrence import Recurrence, recurrences
from memory.summary import Author, extract, summarised

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from memory.jobs import Job, Jobs
    from memory.memory import Memory
    from memory.ports import Fence, Summariser
    from memory.worker import Handler

ACTOR = "aurora/consolidation"

THREAD, FACTS = "thread", "facts"
"""Kinds of jobs."""

MAX_MESSAGES = 200
"""Messages of one episode; a longer thread becomes several."""

PAGE = 100
"""Facts that are stated, or threads that are asked for, in one transaction."""

IDLE = timedelta(hours=1)
"""A thread in which nobody has spoken for so long is at its end, or at a pause that is worth an episode."""

CONTESTED = "contested"
"""Object of a fact that episodes bore out once, and now disagree about."""

_EVIDENCE = frozenset({State.ACTIVE, State.ARCHIVED})

_PROVENANCE = {
    Trust.OPERATOR: Provenance.HUMAN,
    Trust.AGENT_DERIVED: Provenance.AGENT_DERIVED,
    Trust.TOOL_OUTPUT: Provenance.SENSOR,
    Trust.EXTERNAL_CONTENT: Provenance.ATTACKER_WRITABLE,
}


class Refused(AuroraError):
    """What was to be kept of other items is not fit to be; `context["fault"]` says why. Nothing was written."""

    code = "aurora.memory.consolidation.refused"
    http_status = 422


class EvidenceGone(Refused):
    """What a fact was to be made of was taken back or erased while it was made; tried again, it is made of the rest."""

    code = "aurora.memory.consolidation.evidence_gone"
    retryable = True
    http_status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What something is made of."""

    source: Source
    text: str
    trust: Trust


def checked(item: NewItem, inputs: Sequence[Input]) -> NewItem:
    """Return what was made of `inputs` if it may be kept.

    Raises:
        Refused: it is empty, cites no source or one that it was not made of, asks for more trust than the least of
            its inputs or than Aurora's own conclusions have, or gives orders that none of them gives.
    """
    least = min((each.trust for each in inputs), default=Trust.EXTERNAL_CONTENT)
    known = {each.source.uri for each in inputs}
    if not item.text.strip():
        raise Refused("it is empty; what it was to be made of stays as it is", fault="empty")
    if not item.sources:
        raise Refused("it cites no source", fault="no_source")
    if not {source.uri for source in item.sources} <= known:
        raise Refused("it cites a source that it was not made of", fault="foreign_source")
    if item.trust is None or item.trust > min(least, Trust.AGENT_DERIVED):
        raise Refused(f"it asks for more trust than its inputs have, which is {least.name.lower()}", fault="trust")
    orders = set(instruction_patterns(item.text))
    if orders and not orders <= {order for each in inputs for order in instruction_patterns(each.text)}:
        raise Refused("it gives orders that stand in none of its inputs", fault="orders")
    return item


@dataclass(frozen=True)
class Consolidation:
    """Consolidates the memory of one tenant.

    Args:
        memory: The tenant's.
        jobs: The tenant's queue, in the same database.
        summariser: Writes episodes with a model; `None`: they are extracts. So are those whose summary is refused.
        tokens: Of an episode, at most.
        least: Episodes that must say the same before it is held to be true.
    """

    memory: Memory
    jobs: Jobs
    summariser: Summariser | None = None
    tokens: int = 400
    least: int = 3

    async def enqueue_thread(self, connection: AsyncConnection, thread: str) -> int:
        """Ask for episodes of what a thread has said since it was last asked for; return how many.

        Each message becomes a part of one episode, whatever happens: the queue itself remembers where it stands.
        Called at the end of a thread, in the transaction that ends it, or whenever enough was said.
        """
        began = select(MessageModel.created_at).where(
            MessageModel.tenant == self.memory.tenant, MessageModel.thread == thread, MessageModel.position == 0
        )
        name = _digest(thread, (await connection.execute(began)).scalar_one_or_none())
        asked = (
            select(JobModel.payload)
            .where(JobModel.tenant == self.memory.tenant, JobModel.kind == THREAD)
            .where(JobModel.key >= f"{name}{0:010d}", JobModel.key <= f"{name}{LAST}")
            .order_by(JobModel.key.desc())
            .limit(1)
        )
        said = select(ThreadModel.next_position).where(
            ThreadModel.tenant == self.memory.tenant, ThreadModel.thread == thread
        )
        stop = (await connection.execute(said)).scalar_one_or_none() or 0
        asked_for, before = 0, -1
        while True:
            last = (await connection.execute(asked)).scalar_one_or_none()
            start = 0 if last is None else int(last["to"])
            if start >= stop or start == before:
                return asked_for
            before = start
            payload = {"thread": thread, "from": start, "to": min(stop, start + MAX_MESSAGES)}
            # The key names where it begins, so that of two who ask at once one finds that the other was first.
            asked_for += await self.jobs.enqueue(connection, THREAD, f"{name}{start:010d}", payload=payload)

    async def enqueue_idle(self) -> int:
        """Ask for episodes of all threads that have been idle for `IDLE`; return for how many.

        Each page of them is a transaction of its own; asked again, it asks for what was said since.
        """
        asked, after = 0, ""
        while True:
            since = self.memory.clock.now() - IDLE
            waiting = idle(self.memory.tenant, THREAD, since=since, after=after, limit=PAGE)
            async with self.memory.transactions.writing() as connection:
                threads = list((await connection.execute(waiting)).scalars())
                for thread in threads:
                    asked += await self.enqueue_thread(connection, thread)
            if len(threads) < PAGE:
                return asked
            after = threads[-1]

    @property
    def bookmarks(self) -> ColumnElement[bool]:
        """Which jobs tell how far a thread is consolidated. For `Jobs.purge`."""
        return bookmarks(self.memory.tenant, THREAD)

    async def enqueue_facts(self, connection: AsyncConnection) -> bool:
        """Ask for what episodes repeat to be made knowledge; once for each state of the memory."""
        head = select(HeadModel.number).where(HeadModel.tenant == self.memory.tenant)
        number = (await connection.execute(head)).scalar_one_or_none() or 0
        return await self.jobs.enqueue(connection, FACTS, f"{number:012d}")

    def handlers(self) -> Mapping[str, Handler]:
        """Return what does the jobs of both kinds, for `memory.worker.work`."""
        return {THREAD: self._thread_job, FACTS: self._facts_job}

    async def consolidate_thread(
        self, thread: str, *, start: int, stop: int, fence: Fence | None = None
    ) -> Remembered | None:
        """Make an episode of the messages at positions `start` to `stop`, the last not included.

        Returns:
            What became of it; `None`: none of the messages says anything.

        Raises:
            NotFound: the thread has no such messages.
            Refused: what was made of them is not fit to be kept.
        """
        inputs, began = await self._inputs(thread, start, stop)
        spoken = [each for each in inputs if each.text.strip()]
        if not spoken:
            return None
        text, author = await self._written(spoken)
        episode = NewItem(
            tier=Tier.EPISODIC,
            kind="thread",
            text=text,
            sources=tuple(each.source for each in spoken),
            trust=min(Trust.AGENT_DERIVED, *(each.trust for each in spoken)),
            value={"thread": thread, "from": start, "to": stop, "author": author.value},
            subject=f"thread:{thread}",
            namespace=("threads",),
            valid_from=began,
            importance=0.4,
        )
        kept = await self.memory.remember([checked(episode, spoken)], actor=ACTOR, fence=fence)
        return kept[0]

    async def consolidate_facts(self, *, fence: Fence | None = None, last_fence: Fence | None = None) -> int:
        """Make knowledge of what enough episodes say alike; return how many facts were stated or borne out further.

        Episodes that disagree about what they once agreed on make the fact `CONTESTED`. What is held with more trust
        than they have stands.

        Args:
            fence: Called in every transaction but the last.
            last_fence: Called in the last.
        """
        async with self.memory.transactions.reading() as connection:
            found = await recurrences(connection, tenant=self.memory.tenant, least=self.least)
        news = [fact for each in found if (fact := await self._fact(each)) is not None]
        pages = [news[at : at + PAGE] for at in range(0, len(news), PAGE)]
        for number, page in enumerate(pages, start=1):
            guard = last_fence if number == len(pages) else fence
            await self.memory.remember(page, actor=ACTOR, fence=self._evidenced(page, guard))
        return len(news)

    async def _thread_job(self, job: Job) -> None:
        told = job.payload
        with suppress(NotFound):  # the thread was erased meanwhile: there is nothing to be done
            await self.consolidate_thread(
                told["thread"], start=told["from"], stop=told["to"], fence=self.jobs.settling(job)
            )

    async def _facts_job(self, job: Job) -> None:
        await self.consolidate_facts(fence=self.jobs.fence(job), last_fence=self.jobs.settling(job))

    def _evidenced(self, facts: Sequence[NewItem], fence: Fence | None) -> Fence:
        """Return a fence that also refuses facts whose evidence was taken back or erased since it was read."""
        evidence = {each for fact in facts for each in memory_ids(fact.sources)}

        async def is_there(connection: AsyncConnection) -> None:
            if fence is not None:
                await fence(connection)
            # Locked first, so that nothing is erased between this look and the write.
            await Chain.lock(connection, tenant=self.memory.tenant)
            found = await Items(connection, tenant=self.memory.tenant).get(evidence)
            if any(found[each].state not in _EVIDENCE for each in evidence):
                raise EvidenceGone("what it was to be made of was taken back meanwhile; look again", fault="evidence")

        return is_there

    async def _inputs(self, thread: str, start: int, stop: int) -> tuple[list[Input], datetime]:
        messages = (
            select(MessageModel.position, MessageModel.content, MessageModel.trust, MessageModel.created_at)
            .where(MessageModel.tenant == self.memory.tenant, MessageModel.thread == thread)
            .where(MessageModel.position >= start, MessageModel.position < stop)
            .order_by(MessageModel.position)
        )
        async with self.memory.transactions.reading() as connection:
            rows = (await connection.execute(messages)).all()
        if not rows:
            raise NotFound(f"thread {thread!r} has no messages {start} to {stop}", thread=thread)
        # Instructions are no part of what happened; kept as an episode they would be recalled as one.
        said = [row for row in rows if role(row.content) != "system"]
        return [_input(thread, row.position, row.content, Trust(row.trust)) for row in said], rows[0].created_at

    async def _written(self, inputs: Sequence[Input]) -> tuple[str, Author]:
        """Return the text of an episode, and who wrote it: a model where there is one and it keeps to the inputs."""
        texts = [each.text for each in inputs]
        if self.summariser is not None:
            text = await summarised(texts, tokens=self.tokens, count=self.memory.count, summariser=self.summariser)
            given = {order for each in texts for order in instruction_patterns(each)}
            if text is not None and set(instruction_patterns(text)) <= given:
                return text, Author.MODEL
        return extract(texts, tokens=self.tokens, count=self.memory.count), Author.EXTRACT

    async def _fact(self, found: Recurrence) -> NewItem | None:
        """Return the fact that episodes bear out, or `None` if it is known already or better."""
        held = await self.memory.true_at(found.subject, found.predicate)
        stands = next((item for item in held if item.kind == "fact"), None)
        trust = min(found.trust, Trust.AGENT_DERIVED)
        says = found.object
        if says is None:
            if stands is None or not _is_ours(stands) or stands.object == CONTESTED:
                return None
            says = CONTESTED
        evidence = [f"memory:{each}" for each in found.evidence]
        if stands is not None:
            if stands.trust > trust:
                return None
            if stands.object == says and set(evidence) <= {source.uri for source in stands.sources}:
                return None
        inputs = [
            Input(source=Source(uri=uri, provenance=Provenance.AGENT_DERIVED), text="", trust=found.trust)
            for uri in evidence
        ]
        fact = NewItem(
            tier=Tier.SEMANTIC,
            kind="fact",
            text=_in_words(found.subject, found.predicate, says),
            sources=tuple(each.source for each in inputs),
            trust=trust,
            subject=found.subject,
            predicate=found.predicate,
            object=says,
            namespace=("facts",),
            importance=0.6,
            links=tuple(("evidence", each) for each in found.evidence),
        )
        if instruction_patterns(fact.text):
            return None  # an order is no fact, however many episodes repeat it
        return checked(fact, inputs)


def _input(thread: str, position: int, content: Mapping[str, object], trust: Trust) -> Input:
    source = Source(uri=f"message:{thread}/{position}", provenance=_PROVENANCE[trust])
    return Input(source=source, text=text_of(content), trust=trust)


def _is_ours(fact: Item) -> bool:
    return all(source.uri.startswith("memory:") for source in fact.sources)


def _in_words(*parts: str) -> str:
    return " ".join(part.replace("_", " ") if number == 1 else part for number, part in enumerate(parts))


def _digest(thread: str, began: datetime | None) -> str:
    """Return a name of a thread for its jobs; one that was erased and begins anew is another.

    All names have one length, so that the jobs of a thread are a range whatever the database's collation.
    """
    return hashlib.sha256(f"{thread}/{began.isoformat() if began else ''}".encode()).hexdigest()[:NAME]
