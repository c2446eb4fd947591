"""What public lists say a value is known to be: MISP warning lists, chosen and cleaned."""

from __future__ import annotations

import socket
from bisect import bisect_right
from collections import defaultdict
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import orjson

from aurora.kernel.models.alert import ObservableType
from aurora.kernel.models.knowledge import WarningCategory, WarningHit
from aurora.kernel.observables import url_host

_Lists = tuple[int, ...]
_DIGEST_DIGITS = 32
"""Digests are shipped cut to 128 bits (see scripts/build_knowledge.py)."""

_GENERAL = frozenset({WarningCategory.BENIGN_INFRASTRUCTURE, WarningCategory.POPULAR_SITE})
_PARTICULAR = frozenset(
    {
        WarningCategory.USER_CONTENT,
        WarningCategory.IP_LOOKUP,
        WarningCategory.DYNAMIC_OR_DISPOSABLE,
        WarningCategory.SINKHOLE,
        WarningCategory.SPECIAL_USE,
    }
)


class WarningLists:
    """The shipped warning lists. Read on first use, then kept by this object.

    Each kind of value (addresses, names, digests) is made ready when the first of its kind is
    looked up.

    Args:
        data: The file to read instead of the shipped one.
    """

    def __init__(self, *, data: Traversable | None = None) -> None:
        self._path = data or files("aurora.knowledge") / "data" / "warninglists.json"
        self._lookup = lru_cache(maxsize=16_384)(self._find)

    @cached_property
    def lists(self) -> tuple[WarningHit, ...]:
        """Every list, sorted by id, as a hit on it looks."""
        return tuple(
            WarningHit(list_id=each["id"], name=each["name"], version=each["version"], category=each["category"])
            for each in self._data["lists"]
        )

    def lookup(self, type: ObservableType, value: str) -> tuple[WarningHit, ...]:
        """Return the lists that hold `value`, sorted by list id. The value must be canonical.

        Of a URL the host is looked up, of an e-mail address the domain, and there only in lists
        about mail. A value with a particular use (user content, URL shortener, sinkhole…) is never
        benign infrastructure or a popular site as well: `docs.google.com` is `user_content` alone.
        """
        return self._lookup(type, value)

    def _find(self, type_: ObservableType, value: str) -> tuple[WarningHit, ...]:
        found: set[int] = set()
        match type_:
            case ObservableType.IP:
                found.update(self._of_address(value), self._exact.get(value, ()))
            case ObservableType.DOMAIN:
                found.update(self._of_name(value))
            case ObservableType.URL:
                host = url_host(value)
                found.update(self._of_address(host) or self._of_name(host))
            case ObservableType.EMAIL:
                of_domain = self._of_name(value.rpartition("@")[2])
                found.update(each for each in of_domain if self._data["lists"][each]["mail"])
            case ObservableType.HASH_MD5 | ObservableType.HASH_SHA1 | ObservableType.HASH_SHA256:
                found.update(self._digests[type_].get(value[:_DIGEST_DIGITS], ()))
            case _:
                return ()
        hits = [self.lists[each] for each in sorted(found)]
        if any(hit.category in _PARTICULAR for hit in hits):
            hits = [hit for hit in hits if hit.category not in _GENERAL]
        return tuple(hits)

    def _of_address(self, value: str) -> _Lists:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                address = int.from_bytes(socket.inet_pton(family, value))
            except (OSError, ValueError):
                continue
            starts, lists = self._networks[family]
            return lists[bisect_right(starts, address) - 1]
        return ()

    def _of_name(self, name: str) -> _Lists:
        found = list(self._exact.get(name, ()))
        while name:
            found += self._suffixes.get(name, ())
            name = name.partition(".")[2]
        return tuple(found)

    @cached_property
    def _data(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self._path.read_bytes())
        return document

    @cached_property
    def _exact(self) -> dict[str, _Lists]:
        return self._index("exact")

    @cached_property
    def _suffixes(self) -> dict[str, _Lists]:
        return self._index("suffix")

    @cached_property
    def _digests(self) -> dict[ObservableType, dict[str, _Lists]]:
        kinds = (ObservableType.HASH_MD5, ObservableType.HASH_SHA1, ObservableType.HASH_SHA256)
        return {kind: self._index(kind.value) for kind in kinds}

    def _index(self, how: str) -> dict[str, _Lists]:
        index: dict[str, _Lists] = {}
        for number, each in enumerate(self._data["lists"]):
            for entry in each.get(how, "").split():
                index[entry] = (*index[entry], number) if entry in index else (number,)
        return index

    @cached_property
    def _networks(self) -> dict[socket.AddressFamily, tuple[list[int], list[_Lists]]]:
        """By family: first addresses of the stretches between range ends, and the lists of each stretch."""
        edges: dict[socket.AddressFamily, defaultdict[int, list[int]]] = {
            socket.AF_INET: defaultdict(list),
            socket.AF_INET6: defaultdict(list),
        }
        for number, each in enumerate(self._data["lists"]):
            for entry in each.get("range", "").split():
                text, _, length = entry.partition("/")
                family, bits = (socket.AF_INET6, 128) if ":" in text else (socket.AF_INET, 32)
                first = int.from_bytes(socket.inet_pton(family, text))
                # `+n` opens list n-1 and `-n` closes it: zero has no sign.
                edges[family][first].append(number + 1)
                edges[family][first + (1 << bits - int(length or bits))].append(-number - 1)
        return {family: _stretches(each) for family, each in edges.items()}


def _stretches(edges: dict[int, list[int]]) -> tuple[list[int], list[_Lists]]:
    starts: list[int] = [0]
    lists: list[_Lists] = [()]
    open_: defaultdict[int, int] = defaultdict(int)
    for at in sorted(edges):
        for edge in edges[at]:
            open_[abs(edge) - 1] += 1 if edge > 0 else -1
        starts.append(at)
        lists.append(tuple(number for number, depth in open_.items() if depth))
    return starts, lists
