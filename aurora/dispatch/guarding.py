"""Guards the nodes of a run: none begins once the lease of its task may have gone to somebody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler

from aurora.kernel.errors import LeaseLost
from aurora.kernel.models import Task


class Guard(BaseCallbackHandler):
    """Is called before each node, in the worker's loop, and raises where the node must not begin.

    Args:
        task: Whose run it guards.
        is_late: Tells whether its lease was not renewed for too long.
    """

    raise_error = True
    run_inline = True
    ignore_llm = ignore_retry = ignore_agent = ignore_retriever = ignore_chat_model = ignore_custom_event = True

    def __init__(self, task: Task, is_late: Callable[[Task], bool]) -> None:
        self._task = task
        self._is_late = is_late

    def on_chain_start(self, *_: Any, **__: Any) -> None:
        """Refuse the node.

        Raises:
            LeaseLost: somebody else may have begun it.
        """
        if self._is_late(self._task):
            task = self._task
            raise LeaseLost("its lease was not renewed in time", task_id=str(task.id), epoch=task.epoch)
