"""What a run waits for, in the words of the node that waits."""

from __future__ import annotations

from typing import Any

from aurora.kernel.models import Task
from aurora.storage.unit_of_work import Storage


async def waiting_for(storage: Storage, task: Task) -> list[Any]:
    """Return what the open interrupts of a task's run ask for: JSON values, one for each node that waits.

    Empty for a run that waits for nothing. They may quote text from outside.

    Raises:
        StorageError: the stored value is damaged.
    """
    from langgraph.checkpoint.serde.types import INTERRUPT  # noqa: PLC0415 - imports langgraph
    from langgraph.types import Interrupt  # noqa: PLC0415 - imports langgraph

    from aurora.storage.checkpoints.reading import Criteria, Reader, reading  # noqa: PLC0415 - imports langgraph
    from aurora.storage.checkpoints.serde import StrictSerializer  # noqa: PLC0415 - imports langgraph

    reader = Reader(reading(storage.engine), StrictSerializer())
    async for page in reader.pages(Criteria(task.thread_id, ""), {}, 1):
        asked = [value for _, channel, value in page[0].pending_writes or () if channel == INTERRUPT]
        return [each.value for interrupts in asked for each in interrupts if isinstance(each, Interrupt)]
    return []
