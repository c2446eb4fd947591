"""Every task has an owner."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.rules.rule import Rule, calls, last_name


class OwnedTasks(Rule):
    """Tasks are started by a TaskGroup only.

    Incident it prevents: a heartbeat started by `asyncio.create_task` is kept by nobody. The event
    loop holds tasks weakly, so the garbage collector may end it in the middle of a run: the lease
    lapses, a second worker takes the task, and an exception is printed at exit, if at all.
    """

    def find(self, tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
        groups = set(_groups(tree))
        for call in calls(tree):
            name = last_name(call.func)
            owner = last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            if name == "ensure_future" or (name == "create_task" and owner not in groups):
                yield call.lineno, f"{name} outside a TaskGroup: nobody owns the task"


def _groups(tree: ast.AST) -> Iterator[str]:
    """Yield the names that hold a TaskGroup: bound by `with`, assigned, annotated or passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and _makes_group(node.context_expr) and node.optional_vars is not None:
            yield last_name(node.optional_vars)
        elif isinstance(node, ast.Assign) and any(_makes_group(each) for each in ast.walk(node.value)):
            yield from (last_name(target) for target in node.targets)
        elif isinstance(node, ast.arg) and node.annotation is not None and last_name(node.annotation) == "TaskGroup":
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and last_name(node.annotation) == "TaskGroup":
            yield last_name(node.target)


def _makes_group(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "TaskGroup"
