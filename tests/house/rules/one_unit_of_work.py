"""One place commits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from tests.house.rules.rule import Rule, calls, last_name


class OneUnitOfWork(Rule):
    """Only the unit of work commits a session.

    Incident it prevents: a service commits after its own step. When the next step fails, the alert
    is stored and its task is not: accepted, and nobody ever works on it. What belongs together is
    one transaction, so the one who opened it closes it.
    """

    allowed: ClassVar[tuple[str, ...]] = (
        "aurora/storage/unit_of_work.py",
        # The saver groups the writes of a superstep on the driver's connection: ADR of the saver.
        "aurora/storage/checkpoints",
        # Alembic owns the transaction of a migration.
        "aurora/storage/migrations",
    )

    def find(self, tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
        for call in calls(tree):
            if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"commit", "begin"}:
                continue
            owner = last_name(call.func.value).lower()
            if "session" in owner or "conn" in owner:
                yield call.lineno, f"{owner}.{call.func.attr}() outside the unit of work"
