"""What a rule is."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One place that breaks a rule."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Rule(ABC):
    """Looks at one module. Subclasses say in `allowed` where the rule does not hold, and why in a comment."""

    allowed: ClassVar[tuple[str, ...]] = ()
    """Files and folders, from the root of the repository."""

    def check(self, source: str, path: str) -> list[Violation]:
        """Return what breaks the rule in the module `source`, whose place in the repository is `path`."""
        if any(PurePosixPath(path).is_relative_to(each) for each in self.allowed):
            return []
        return [Violation(path, line, message) for line, message in self.find(ast.parse(source), path)]

    @abstractmethod
    def find(self, tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
        """Yield line and message of each violation."""


def last_name(node: ast.expr) -> str:
    """Return the last identifier of `a.b.c` (`c`), or an empty string."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def dotted_name(node: ast.expr) -> str:
    """Return `a.b.c` as text, or an empty string if it is anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted_name(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything that is imported: `from a import b` is `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
