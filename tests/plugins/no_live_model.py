"""Pytest plugin: making a real chat model in a test is an error.

A test that talks to a provider costs money, leaks data and passes or fails by chance. Models in
tests are scripts: the fakes of LangChain, those of `aurora.testing`, or one the test defines. Tests
marked `integration` may point a real client at a server on this machine.

`langchain_core` is slow to import, so most tests never load it; the guard therefore waits for
the import instead of causing it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

GUARDED = "langchain_core.language_models.chat_models"
FAKES = ("langchain_core.language_models.fake", "aurora.testing", "tests.", "test_", "conftest")


_allows_loopback = False


class LiveModelForbidden(RuntimeError):
    """A test made a chat model that would call a provider."""


def is_fake(model: type) -> bool:
    """Return whether `model` is a class whose answers are written down in advance."""
    return model.__module__.startswith(FAKES)


def is_at_home(options: dict[str, Any]) -> bool:
    """Return whether a model is built for a server on this machine, in a test that may talk to one."""
    return _allows_loopback and urlsplit(str(options.get("base_url"))).hostname in {"127.0.0.1", "localhost", "::1"}


def guard(module: ModuleType) -> None:
    """Make every chat model of `module`'s family check its own class before it is built."""
    base = module.BaseChatModel
    build = base.__new__

    def __new__(cls: type, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it stands in for the real one
        if not is_fake(cls) and not is_at_home(kwargs):
            raise LiveModelForbidden(
                f"a test built {cls.__module__}.{cls.__qualname__}: use a scripted model from aurora.testing"
            )
        return build(cls) if build is object.__new__ else build(cls, *args, **kwargs)

    base.__new__ = __new__


class _Loader(importlib.abc.Loader):
    """Runs the real loader, then installs the guard."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        guard(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the one guarded module and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != GUARDED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def pytest_configure() -> None:
    """Guard the base class now if it is loaded, otherwise as soon as it is."""
    if GUARDED in sys.modules:
        guard(sys.modules[GUARDED])
    else:
        sys.meta_path.insert(0, _Finder())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Know, for the whole life of a test, whether it may talk to this machine."""
    global _allows_loopback  # noqa: PLW0603 - pytest gives hooks no place of their own
    _allows_loopback = item.get_closest_marker("integration") is not None
    try:
        return (yield)
    finally:
        _allows_loopback = False
