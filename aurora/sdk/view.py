"""What a triage rule sees: an alert and all the evidence about it. Pure data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from aurora.kernel.evidence import Evidence
from aurora.kernel.models import Alert


@dataclass(frozen=True)
class TriageView:
    """An alert with its evidence: its own fields (`f…`) and what enrichment found (`e…`)."""

    alert: Alert
    evidence: tuple[Evidence, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Evidence]:
        """Evidence by id."""
        return {each.id: each for each in self.evidence}

    @cached_property
    def _places(self) -> Mapping[tuple[str, str], list[tuple[int, Evidence]]]:
        """Place and evidence by kind, and for fields by name too: rules ask thirty times an alert."""
        places: dict[tuple[str, str], list[tuple[int, Evidence]]] = {}
        for place, each in enumerate(self.evidence):
            name = each.attributes["name"] if each.kind == "field" else ""
            places.setdefault((each.kind, name), []).append((place, each))
        return places

    def fields(self, *names: str) -> Iterator[Evidence]:
        """Yield the alert's fields that have one of `names`, in record order."""
        hits = [hit for name in dict.fromkeys(names) for hit in self._places.get(("field", name), ())]
        return (each for _, each in sorted(hits, key=_place))

    def found(self, kind: str, **attributes: str) -> Iterator[Evidence]:
        """Yield evidence of `kind`, other than fields, whose attributes have all the given values."""
        wanted = attributes.items()
        return (each for _, each in self._places.get((kind, ""), ()) if wanted <= each.attributes.items())


def _place(hit: tuple[int, Evidence]) -> int:
    return hit[0]
