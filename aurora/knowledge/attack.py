"""ATT&CK Enterprise, offline: ids, names, tactics, what became of older ids, and known software."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import orjson

from aurora.kernel.models.knowledge import Software, SoftwareKind, Tactic, Technique, TechniqueStatus

_ID = re.compile(r"(?i)(?<![a-z0-9])t(\d{4}(?:[./]\d{3})?)(?![./]?\d)")
_WORD = re.compile(r"[a-z0-9]+")
_MAX_TEXT = 65_536
_LONGEST_NAME = 5
_SHORTEST_JOINED = 8
"""`cobaltstrike` is Cobalt Strike; shorter names written together are too easily something else."""


class Attack:
    """The shipped ATT&CK data. Read on first use, then kept by this object; reading takes some 5 ms.

    Args:
        data: The file to read instead of the shipped one.
    """

    def __init__(self, *, data: Traversable | None = None) -> None:
        self._path = data or files("aurora.knowledge") / "data" / "attack.json"
        self._current = lru_cache(maxsize=4096)(self._find_current)
        self._technique = lru_cache(maxsize=4096)(self._build_technique)

    @property
    def version(self) -> str:
        """Version of techniques and tactics, e.g. `19.2`."""
        return str(self._data["version"])

    @property
    def software_version(self) -> str:
        """Version of the list of software; its technique ids are mapped to `version`."""
        return str(self._data["software_version"])

    @property
    def notice(self) -> str:
        """MITRE's copyright designation, to be shown wherever the data is passed on."""
        return str(self._data["notice"])

    def technique(self, technique_id: str) -> Technique | None:
        """Return the technique of exactly this id (`T1059.001`), current or not, or `None`."""
        return self._technique(technique_id)

    def current(self, technique_id: str) -> str | None:
        """Return the id in use today for one of any version, or `None`.

        Case, surrounding text (`attack.t1562.001`, `T1059 - Command…`) and a slash for the dot are
        tolerated; of several ids the first counts. `None` too for ids that ATT&CK withdrew
        without a successor, and for an unknown sub-technique even where its parent is known:
        products do not invent numbers, models do, and answering with the parent would hide it.
        """
        return self._current(technique_id)

    def tactics_of(self, technique_id: str) -> tuple[Tactic, ...]:
        """Return the tactics of a technique of any version; empty if it is unknown."""
        found = self.technique(self.current(technique_id) or "")
        return found.tactics if found else ()

    def software(self, name: str) -> Software | None:
        """Return the software of this id, name or alias; case, punctuation and `.exe` do not matter."""
        text = name.strip().lower().removesuffix(".exe")
        return self._by_id.get(text.upper()) or self._by_name.get(" ".join(_WORD.findall(text)))

    def mentioned(self, text: str) -> tuple[Software, ...]:
        """Return the software that `text` names, each once, in order of appearance.

        Recognised as whole words in titles, detection names and command lines
        (`HackTool:Win32/Mimikatz!dha`, `Invoke-Mimikatz`). Left out: what ships with operating
        systems, and names that are ordinary words (`Play`, `Net`); ask `software` for those.
        """
        words = _WORD.findall(text[:_MAX_TEXT].lower())
        found: dict[str, Software] = {}
        at = 0
        while at < len(words):
            for length in range(min(_LONGEST_NAME, len(words) - at), 0, -1):
                hit = self._telling.get(" ".join(words[at : at + length]))
                if hit is not None:
                    found.setdefault(hit.id, hit)
                    at += length - 1
                    break
            at += 1
        return tuple(found.values())

    @cached_property
    def _data(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self._path.read_bytes())
        return document

    @cached_property
    def _tactics(self) -> dict[str, Tactic]:
        return {key: Tactic(id=id_, key=key, name=name) for key, (id_, name) in self._data["tactics"].items()}

    def _build_technique(self, technique_id: str) -> Technique | None:
        if (known := self._data["techniques"].get(technique_id)) is not None:
            name, tactics, platforms = known
            return Technique(
                id=technique_id,
                name=name,
                tactics=tuple(self._tactics[key] for key in tactics),
                platforms=tuple(platforms),
            )
        if (gone := self._data["withdrawn"].get(technique_id)) is not None:
            name, successor = gone
            status = TechniqueStatus.REVOKED if successor else TechniqueStatus.DEPRECATED
            return Technique(id=technique_id, name=name, status=status, revoked_by=successor)
        return None

    def _find_current(self, text: str) -> str | None:
        match = _ID.search(text)
        wanted = f"T{match[1]}".replace("/", ".") if match else None
        seen: set[str] = set()
        while wanted is not None and wanted not in self._data["techniques"]:
            if wanted in seen:
                return None
            seen.add(wanted)
            wanted = self._data["withdrawn"].get(wanted, (None, None))[1]
        return wanted

    @cached_property
    def _by_id(self) -> dict[str, Software]:
        return {
            id_: Software(
                id=id_,
                name=name,
                kind=SoftwareKind(kind),
                aliases=tuple(aliases),
                techniques=tuple(techniques.split()),
                built_in=built_in,
            )
            for id_, name, kind, aliases, techniques, built_in in self._data["software"]
        }

    @cached_property
    def _by_name(self) -> dict[str, Software]:
        """Every name as its words with one blank between; a name of several words also as one word."""
        names: dict[str, Software] = {}
        for software in self._by_id.values():
            for name in (software.name, *software.aliases):
                words = _WORD.findall(name.lower().removesuffix(".exe"))
                names.setdefault(" ".join(words), software)
                if len("".join(words)) >= _SHORTEST_JOINED:
                    names.setdefault("".join(words), software)
        return names

    @cached_property
    def _telling(self) -> dict[str, Software]:
        ordinary = frozenset(self._data["ordinary_words"])
        return {
            name: software
            for name, software in self._by_name.items()
            if name not in ordinary and not software.built_in and (len(name) > 3 or name in _SHORT_BUT_TELLING)
        }


_SHORT_BUT_TELLING = frozenset({"wce"})
"""Windows Credential Editor; every other name of up to three letters stands for many things."""
