"""Acceptance: a whole input becomes rows before the first of its alerts is triaged."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

from aurora.ingest.accepted import Accepted
from aurora.ingest.chunks import Chunk, ChunkWriter, Placed, Preparer
from aurora.ingest.formats.registry import Formats
from aurora.ingest.grouping import correlate_batch
from aurora.ingest.reading import MAX_RECORD_BYTES, Source, read
from aurora.kernel.clock import Clock
from aurora.kernel.ids import BatchId, IdFactory
from aurora.kernel.windows import WINDOW
from aurora.storage.repositories.batches import Batch
from aurora.storage.unit_of_work import Storage, Transaction

CHUNK = 1000
"""Records in one transaction: 0.3 s of work, so a kill repeats little, and 15 MiB of memory."""


class Acceptor:
    """Reads sources and writes what they hold, a chunk a transaction."""

    def __init__(
        self,
        *,
        storage: Storage,
        formats: Formats,
        clock: Clock,
        ids: IdFactory,
        graph: str,
        window: timedelta = WINDOW,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._storage = storage
        self._window = window
        self._max_record_bytes = max_record_bytes
        self._formats = formats
        self._clock = clock
        self._ids = ids
        self._graph = graph

    async def accept(
        self, sources: Sequence[Source], *, hint: str | None = None, on_progress: Callable[[int], None] | None = None
    ) -> Accepted:
        """Accept everything that the sources hold; continue where a killed command stopped.

        Args:
            sources: Inputs, in order.
            hint: Id of the format that all records have; `None`: detect it for each record.
            on_progress: Called with the number of bytes (as stored) that were read since the last call.

        Raises:
            SourceUnreadable: a source went away while it was read.
            StorageUnavailable: the database refused; what was accepted before stays.
        """
        accepted = Accepted(await self._open_batch(sources, hint))
        preparer = Preparer(formats=self._formats, ids=self._ids, hint=hint)
        with _rare_collection():
            for source in sources:
                accepted.files.append(source.name)
                records = read(source, max_record_bytes=self._max_record_bytes, on_progress=on_progress)
                while (chunk := await asyncio.to_thread(preparer.prepare, islice(records, CHUNK))).read:
                    await self._accept_chunk(accepted, chunk)
            await self._close_batch(accepted.batch)
        return accepted

    async def _open_batch(self, sources: Sequence[Source], hint: str | None) -> Batch:
        names = [source.name for source in sources]
        digest = hashlib.sha256("\0".join([str(Path.cwd()), *names, hint or ""]).encode()).digest()
        async with self._storage.accepting() as transaction:
            batch = await transaction.batches.unfinished(digest)
            return batch or await self._new_batch(transaction, names, digest)

    async def _new_batch(self, transaction: Transaction, names: Sequence[str], digest: bytes) -> Batch:
        batch = Batch(BatchId(self._ids()), "accepting", self._clock.now())
        await transaction.batches.open(batch, inputs=names, inputs_digest=digest)
        return batch

    async def _close_batch(self, batch: Batch) -> None:
        async with self._storage.accepting() as transaction:
            if await transaction.batches.is_accepting(batch.id):  # else another command with this input was first
                await correlate_batch(transaction.correlation, batch.id)
                await transaction.batches.accepted(batch.id, at=self._clock.now())

    async def _accept_chunk(self, accepted: Accepted, chunk: Chunk) -> None:
        async with self._storage.accepting() as transaction:
            known = await transaction.intake.records([each.record.key for each in chunk.incoming])
            if len(known) < len(chunk.incoming) and not await transaction.batches.is_accepting(accepted.batch.id):
                # We were silent for so long that a scheduler took us for dead: the rest is a batch of its own.
                inputs = await transaction.batches.inputs(accepted.batch.id)
                accepted.batch = await self._new_batch(transaction, *inputs)
            writer = ChunkWriter(
                transaction, accepted.batch, now=self._clock.now(), graph=self._graph, window=self._window
            )
            placed = await writer.write([each for each in chunk.incoming if each.record.key not in known])
            await writer.reject(chunk.rejects)
        _account(accepted, chunk, known, placed)


def _account(accepted: Accepted, chunk: Chunk, known: Placed, placed: Placed) -> None:
    """Note every record of a chunk that was written, in input order."""
    file = accepted.files[-1]
    accepted.read += chunk.read
    accepted.context.update(chunk.context)
    accepted.by_file[file, "context"] += sum(chunk.context.values())
    accepted.formats.update({(file, format_id): count for format_id, count in chunk.formats.items()})
    for each in chunk.incoming:
        before = known.get(each.record.key)
        accepted.known += before is not None
        accepted.add(*(before or placed[each.record.key]))
    for _, record, _ in chunk.rejects:
        accepted.reject(record)


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Look for reference cycles less often: a chunk is 100,000 objects without any, and looking costs a fifth."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
