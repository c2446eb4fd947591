"""The page of the test kit has everything that the kit has."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import aurora.testing
from aurora.testing import MemoryRuntime, fixtures, open_runtime

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")
FIXTURES = [name for name, value in vars(fixtures).items() if type(value).__name__ == "FixtureFunctionDefinition"]


@pytest.mark.parametrize("name", aurora.testing.__all__)
def test_every_public_name_is_documented(name) -> None:
    if name == "MemoryRuntime":  # nobody makes one: what it can do is documented
        assert all(
            f"runtime.{each}(" in PAGE
            for each in vars(MemoryRuntime)
            if inspect.iscoroutinefunction(getattr(MemoryRuntime, each))
        )
    else:
        assert name in PAGE


@pytest.mark.parametrize("name", FIXTURES)
def test_every_fixture_is_documented_there_and_where_it_is_made(name) -> None:
    assert f"| `{name}` |" in PAGE
    assert inspect.getdoc(getattr(fixtures, name)) or getattr(fixtures, name)._get_wrapped_function().__doc__


def test_there_are_fixtures_to_document() -> None:
    assert set(FIXTURES) == {"aurora_clock", "aurora_runtime", "scripted_model"}


@pytest.mark.parametrize("argument", list(inspect.signature(open_runtime).parameters))
def test_every_argument_is_documented(argument) -> None:
    assert f"{argument}`" in PAGE
