"""What LangGraph's operations on a store mean: filters, patterns of namespaces, what a batch asks. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchOp,
)

from aurora.kernel.errors import InputError
from aurora.kernel.untrusted import quoted
from memory.checking import MAX_NAMESPACE, SIZES
from memory.store_values import stored_key, stored_namespace

_OPERATORS = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
_LONGEST = timedelta(days=36_500)

Name = tuple[str, str]
"""Namespace and key, as they are kept."""


class StoreInvalid(InputError):
    """An operation on the store has no meaning; nothing of its batch was done."""

    code = "aurora.input.store"


@dataclass(slots=True)
class Plan:
    """What a batch asks: the places of its reads, and of each name the last that is put."""

    results: list[Any] = field(default_factory=list)
    gets: dict[int, tuple[GetOp, Name | None]] = field(default_factory=dict)
    searches: dict[int, SearchOp] = field(default_factory=dict)
    lists: dict[int, ListNamespacesOp] = field(default_factory=dict)
    puts: dict[Name, PutOp] = field(default_factory=dict)


def planned(ops: Iterable[Op]) -> Plan:
    """Return what a batch asks. Reads see what was there before it; of several puts of a name the last counts.

    Raises:
        StoreInvalid: an operation cannot be done.
        InvalidNamespaceError: nothing can be put into such a namespace.
    """
    plan = Plan()
    op: Any  # what callers hand in is checked here
    for place, op in enumerate(ops):
        plan.results.append(None)
        if isinstance(op, GetOp):
            plan.gets[place] = op, _name(op.namespace, op.key)
        elif isinstance(op, PutOp):
            plan.puts[_writable(op)] = op
        elif isinstance(op, SearchOp):
            _check_page(op.limit, op.offset)
            check_filter(op.filter or {})
            plan.searches[place] = op
        elif isinstance(op, ListNamespacesOp):
            _check_page(op.limit, op.offset)
            _check_conditions(op)
            plan.lists[place] = op
        else:
            raise StoreInvalid(f"a store has no operation {type(op).__name__}", field="ops")
    return plan


def lifetime(ttl: float | None) -> timedelta | None:
    """Return how long a value lives, from minutes.

    Raises:
        StoreInvalid: that is no length of time.
    """
    if ttl is None:
        return None
    minutes: Any = ttl
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes < math.inf:
        raise StoreInvalid("ttl must be minutes, at least 0, or None", field="ttl")
    return _LONGEST if minutes >= _LONGEST / timedelta(minutes=1) else timedelta(minutes=minutes)


def check_filter(wanted: Any) -> None:
    """Check that a filter can be read, whatever values it will meet.

    Raises:
        StoreInvalid: it names an operator that there is not.
    """
    if not isinstance(wanted, Mapping):
        raise StoreInvalid("filter must be a mapping from fields to what they must be", field="filter")
    for condition in wanted.values():
        _check_condition(condition)


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Tell whether a value meets a filter. Fields that it has not are `None`."""
    return not wanted or all(_meets(value.get(name), condition) for name, condition in wanted.items())


def listed(namespaces: Iterable[tuple[str, ...]], op: ListNamespacesOp) -> list[tuple[str, ...]]:
    """Return the namespaces that an operation asks for, in order, each once."""
    found = {each for each in namespaces if all(_fits(each, condition) for condition in op.match_conditions or ())}
    if op.max_depth is not None:
        found = {each[: op.max_depth] for each in found}
    return sorted(found)[op.offset : op.offset + op.limit]


def common_prefix(op: ListNamespacesOp) -> tuple[str, ...]:
    """Return labels that all namespaces which an operation asks for begin with, as far as it says so plainly."""
    for condition in op.match_conditions or ():
        if condition.match_type == "prefix":
            path = [str(label) for label in condition.path]
            return tuple(path[: path.index("*")] if "*" in path else path)
    return ()


def _name(namespace: Sequence[Any], key: Any) -> Name | None:
    kept, name = stored_namespace(namespace), stored_key(key)
    return None if kept is None or name is None else (kept, name)


def _writable(op: PutOp) -> Name:
    namespace = stored_namespace(op.namespace)
    if namespace is None:
        shown = quoted("/".join(map(str, op.namespace)))
        raise InvalidNamespaceError(
            f"namespace {shown}: labels must be texts, none of them empty, and fit into {MAX_NAMESPACE} characters"
        )
    key = stored_key(op.key)
    if key is None:
        raise StoreInvalid(f"key must be a text of at most {SIZES['key']} characters", field="key")
    if op.index is not None and op.index is not False and not _are_paths(op.index):
        raise StoreInvalid("index must be None, False or a list of paths", field="index")
    lifetime(op.ttl)
    return namespace, key


def _are_paths(index: Any) -> bool:
    return isinstance(index, list | tuple) and all(isinstance(path, str) for path in index)


def _check_page(limit: Any, offset: Any) -> None:
    for name, number in (("limit", limit), ("offset", offset)):
        if not isinstance(number, int) or number < 0:
            raise StoreInvalid(f"{name}={number!r} must be a whole number, at least 0", field=name)


def _check_conditions(op: ListNamespacesOp) -> None:
    for condition in op.match_conditions or ():
        if condition.match_type not in {"prefix", "suffix"}:
            raise StoreInvalid(f"match_type {condition.match_type!r} is neither prefix nor suffix", field="match_type")
    if op.max_depth is not None and op.max_depth < 1:
        raise StoreInvalid(f"max_depth={op.max_depth!r} must be at least 1", field="max_depth")


def _check_condition(condition: Any) -> None:
    if isinstance(condition, Mapping):
        if any(str(name).startswith("$") for name in condition):
            if unknown := next((str(name) for name in condition if name not in _OPERATORS), None):
                known = ", ".join(sorted(_OPERATORS))
                raise StoreInvalid(f"filter has the operator {quoted(unknown)}; there are {known}", field="filter")
        else:
            for each in condition.values():
                _check_condition(each)
    elif isinstance(condition, list | tuple):
        for each in condition:
            _check_condition(each)


def _meets(value: Any, condition: Any) -> bool:
    if isinstance(condition, Mapping):
        if any(str(name).startswith("$") for name in condition):
            return all(_compares(value, operator, other) for operator, other in condition.items())
        return isinstance(value, Mapping) and all(_meets(value.get(name), each) for name, each in condition.items())
    if isinstance(condition, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(condition) and all(map(_meets, value, condition))
    return bool(value == condition)


def _compares(value: Any, operator: str, other: Any) -> bool:
    if operator in {"$eq", "$ne"}:
        return bool(value == other) is (operator == "$eq")
    pair = _ordered(value, other)
    if pair is None:
        return False
    first, second = pair
    if operator in {"$gt", "$gte"}:
        return bool(first > second) or (operator == "$gte" and bool(first == second))
    return bool(first < second) or (operator == "$lte" and bool(first == second))


def _ordered(value: Any, other: Any) -> tuple[Any, Any] | None:
    """Return two values so that they can be compared: as numbers, else as texts; `None`: they cannot be."""
    first, second = _number(value), _number(other)
    if first is not None and second is not None:
        return first, second
    return (str.__str__(value), str.__str__(other)) if isinstance(value, str) and isinstance(other, str) else None


def _number(value: Any) -> float | None:
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _fits(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in {"*", label} for wanted, label in zip(path, part, strict=True))
