"""The draft of an alert keeps every value within its bound."""

from __future__ import annotations

from uuid import UUID

from aurora.ingest.formats._draft import MAX_VALUE_BYTES, Draft
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models import EntityType, Severity


def test_a_name_that_its_parts_make_too_long_is_cut_and_the_cut_is_told() -> None:
    draft = Draft()
    domain = "ü" * (MAX_VALUE_BYTES // 2)

    draft.entity(EntityType.USER, f"{domain}\\kim", Provenance.SENSOR)

    alert = draft.alert(
        id=AlertId(UUID(int=1)), title="t", severity=Severity.LOW, source="s", format="f", product="p", rule="r"
    )
    (entity,) = alert.entities
    assert len(entity.value.encode()) <= MAX_VALUE_BYTES
    assert [str.__str__(each.value) for each in alert.fields if each.name == "aurora.truncated"] == ["entities"]
