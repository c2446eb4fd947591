"""Queries live in repositories."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from tests.house.rules.rule import Rule, calls, imports, last_name

_STATEMENTS = {"select", "insert", "update", "delete", "text", "exists", "union", "union_all"}


class QueriesInRepositories(Rule):
    """No SQL statement is built outside the repositories.

    Incident it prevents: a route writes its own `select(AlertModel)` and forgets the tenant. The
    list it shows holds the alerts of every customer. A repository takes the tenant once.
    """

    # The repositories, and those of memory, whose tables are its own.
    allowed: ClassVar[tuple[str, ...]] = ("aurora/storage", "memory")

    def find(self, tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
        for line, name in imports(tree):
            package, _, statement = name.rpartition(".")
            if package.partition(".")[0] in {"sqlalchemy", "sqlmodel"} and statement in _STATEMENTS:
                yield line, f"{statement} builds a query: put it into a repository"
        for call in calls(tree):
            owner = last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            if owner in {"sa", "sqlalchemy"} and last_name(call.func) in _STATEMENTS:
                yield call.lineno, f"{last_name(call.func)} builds a query: put it into a repository"
