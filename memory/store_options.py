"""How a store is set up, and where what is put into it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.store.base import IndexConfig, TTLConfig
from langgraph.store.base.embed import tokenize_path

from aurora.kernel.errors import ConfigError
from aurora.kernel.evidence import Provenance
from memory.checking import MAX_SPAN, MAX_URI
from memory.guard.trust import OF_PROVENANCE
from memory.items import Source, Trust
from memory.store_ops import lifetime

if TYPE_CHECKING:
    from memory.ports import Embedder

Paths = Sequence[tuple[str, Sequence[str]]]

_RUNS = ("run_id", "aurora_task_id", "thread_id")
"""What names a run, in the config around it; the first that is there."""


def paths_of(index: IndexConfig | None, embedder: Embedder) -> Paths | None:
    """Return what of a value is searched; `None`: nothing is.

    Raises:
        ConfigError: `index` has no meaning here.
    """
    if index is None:
        return None
    if unknown := sorted(set(index) - {"dims", "fields"}):
        raise ConfigError(
            f"index has {', '.join(unknown)}; it takes dims and fields: vectors are made by the memory's embedder"
        )
    dims = index.get("dims")
    if dims is not None and dims != embedder.dimensions:
        raise ConfigError(f"index: dims={dims!r}, but {embedder.name} makes vectors of {embedder.dimensions}")
    fields: Any = index.get("fields")
    if fields is not None and (isinstance(fields, str) or not all(isinstance(field, str) for field in fields)):
        raise ConfigError("index: fields must be a list of paths, or None for the whole value")
    return tokenized(fields or ["$"])


def tokenized(fields: Iterable[str]) -> Paths:
    """Return paths with their parts, as LangGraph reads them."""
    return [(field, tokenize_path(field)) for field in fields]


def checked_ttl(ttl: TTLConfig | None) -> TTLConfig | None:
    """Return how long values live, as it was given.

    Raises:
        ConfigError: `ttl` has no meaning here.
        StoreInvalid: a number in it is no length of time.
    """
    if ttl is None:
        return None
    known = {"refresh_on_read", "omit_expired", "default_ttl", "sweep_interval_minutes"}
    if unknown := sorted(set(ttl) - known):
        raise ConfigError(f"ttl has {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    if ttl.get("omit_expired") is False:
        raise ConfigError("ttl: omit_expired=False is not possible: what has expired is never returned")
    lifetime(ttl.get("default_ttl"))
    lifetime(ttl.get("sweep_interval_minutes"))
    return ttl


def said_by(value: Any, *, told: Provenance) -> Provenance | None:
    """Return the provenance that a value names for itself, where it is trusted less than who told it and any agent.

    Args:
        value: Whatever was put: it may say of itself what it likes.
        told: Where it comes from by those who put it.
    """
    if not isinstance(value, Mapping):
        return None
    try:
        said = Provenance(str(value.get("provenance")))
    except ValueError:
        return None
    limit = min(OF_PROVENANCE[told], Trust.AGENT_DERIVED)
    return said if OF_PROVENANCE[said] < limit else None


def sources_now(actor: str) -> tuple[Source, ...]:
    """Return the run of LangGraph around this call as a source, or else whoever calls."""
    config: Mapping[str, Any] | None = var_child_runnable_config.get()
    if config is None:
        return (Source(uri=f"graph:{actor}"[:MAX_URI], provenance=Provenance.AGENT_DERIVED),)
    metadata, configurable = config.get("metadata") or {}, config.get("configurable") or {}
    node = str(metadata.get("langgraph_node") or config.get("run_name") or actor)
    places = ((place, name) for name in _RUNS for place in (config, configurable, metadata))
    run = next((place[name] for place, name in places if place.get(name)), None)
    uri = f"graph:{node}" if run is None else f"run:{run}"
    return (Source(uri=uri[:MAX_URI], provenance=Provenance.AGENT_DERIVED, span=node[:MAX_SPAN]),)
