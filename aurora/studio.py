"""Graphs for LangGraph's own tools: `langgraph dev` and Studio open them through `langgraph.json`.

They are compiled without Aurora's saver, because those tools bring their own, and without a `RunContext`: to look at
a graph nothing else is needed, to run one `aurora run` is, which knows lease, fence, journal and budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aurora.kernel.errors import NotFound


def graph_factory(graph: str) -> Callable[[], Awaitable[Any]]:
    """Return what makes the compiled graph of an id; content is looked for when it is called.

    A plugin writes `mail_desk = graph_factory("mail-desk")` into a module, and names it in a `langgraph.json`.

    Args:
        graph: Id of the graph, of Aurora or of a plugin that the settings trust.
    """

    async def make() -> Any:
        """Return the graph, compiled."""
        # In a thread: reading settings and importing content block, which `langgraph dev` forbids on its loop.
        return await asyncio.to_thread(compiled, graph)

    return make


def compiled(graph: str) -> Any:
    """Return a graph, compiled without a saver.

    Raises:
        NotFound: there is no such graph.
    """
    from aurora.discovery import discover_content  # noqa: PLC0415 - imports all content
    from aurora.settings import load_settings  # noqa: PLC0415 - only who makes a graph needs it

    graphs = discover_content(trusted_plugins=load_settings().content.trusted_plugins).graphs
    if graph not in graphs:
        raise NotFound(f"there is no graph {graph!r}; there are {', '.join(graphs)}")
    return graphs[graph].build().compile(name=graph)


triage = graph_factory("triage")
