"""Runs one bench, in a process of its own: caches and garbage of one would slow the next by a fifth."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tests.bench.measurement import Measurement


def alone(name: str) -> list[dict[str, Any]]:
    """Return what one bench measures, as `run` does."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, name).result()


def run(name: str) -> list[dict[str, Any]]:
    """Return what one bench measures; its `run` may be asynchronous, and return plain mappings.

    Raises:
        TypeError: a mapping has other keys than a `Measurement` has fields.
    """
    measured = importlib.import_module(f"tests.bench.bench_{name}").run()
    results = asyncio.run(measured) if inspect.iscoroutine(measured) else measured
    plain = [each if isinstance(each, Measurement) else Measurement(**_without_place(each)) for each in results]
    return [dataclasses.asdict(each) for each in plain]


def _without_place(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping without `machine` and `commit`, which the runner knows better."""
    return {key: value for key, value in measured.items() if key not in {"machine", "commit"}}
