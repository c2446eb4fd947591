"""An alert: what a security product said, normalised, with the provenance of every field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from aurora.kernel.evidence import Evidence, Provenance
from aurora.kernel.ids import AlertId
from aurora.kernel.models.severity import Severity
from aurora.kernel.untrusted import UntrustedText


class AlertStatus(StrEnum):
    """Where an alert is in its life."""

    NEW = "new"
    TRIAGED = "triaged"
    INVESTIGATING = "investigating"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    FALSE_POSITIVE = "false_positive"

    @property
    def is_closed(self) -> bool:
        """Whether a further occurrence opens a new alert."""
        return self in {AlertStatus.RESOLVED, AlertStatus.FALSE_POSITIVE}


class EntityType(StrEnum):
    """What took part in the event."""

    HOST = "host"
    USER = "user"
    ADDRESS = "address"
    FILE = "file"
    PROCESS = "process"
    MAILBOX = "mailbox"
    APPLICATION = "application"


class ObservableType(StrEnum):
    """Technical values that can be looked up elsewhere; the names are those of the IOC table."""

    IP = "ip"
    DOMAIN = "domain"
    URL = "url"
    HASH_MD5 = "hash_md5"
    HASH_SHA1 = "hash_sha1"
    HASH_SHA256 = "hash_sha256"
    EMAIL = "email"
    CVE = "cve"
    FILE_PATH = "file_path"
    REGISTRY_KEY = "registry_key"
    MUTEX = "mutex"
    USER_AGENT = "user_agent"


class Entity(BaseModel):
    """Somebody or something that took part; `value` is its canonical name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: EntityType
    value: str
    role: str = ""
    """How it took part, e.g. `source`, `target`, `parent`; empty where the product does not say."""
    provenance: Provenance = Provenance.SENSOR


class Observable(BaseModel):
    """A technical value, refanged and in canonical form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ObservableType
    value: str
    provenance: Provenance = Provenance.SENSOR


class SourceField(BaseModel):
    """One value of the raw record under its standard name, with who wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Elastic Common Schema name, e.g. `process.command_line`, `user_agent.original`."""
    value: UntrustedText
    provenance: Provenance
    path: str
    """JSON pointer of the value in the raw record, e.g. `/Entities/4/CommandLine`."""


class Alert(BaseModel):
    """What a product said, in one shape for all products. Immutable.

    The raw record is kept beside it in storage. `fields` holds every value that triage may
    reason about; their order is that of the record and gives the evidence ids `f1`, `f2`, …
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: AlertId
    title: UntrustedText = Field(min_length=1, max_length=500)
    description: UntrustedText = UntrustedText("")
    severity: Severity
    status: AlertStatus = AlertStatus.NEW
    source: str = Field(min_length=1)
    """Family of the product: `suricata`, `microsoft`, `network`, …"""
    format: str = "aurora"
    """Id of the format that read the record."""
    product: str = ""
    """Vendor and product as the record names them."""
    rule: str = ""
    """The product's own id of the detection rule; part of the fingerprint."""
    time: AwareDatetime | None = None
    """When it happened, UTC; `None` where the record does not say."""
    entities: tuple[Entity, ...] = ()
    observables: tuple[Observable, ...] = Field(default=(), alias="iocs")
    mitre_techniques: tuple[str, ...] = ()
    """ATT&CK ids of the current version, sorted, as the product claims them."""
    fields: tuple[SourceField, ...] = ()

    @field_validator("observables", mode="before")
    @classmethod
    def _typed(cls, value: Any) -> Any:
        """Accept bare strings, whose type is recognised from their form."""
        from aurora.kernel.observables import recognise  # noqa: PLC0415 - recognise builds Observables

        if not isinstance(value, (list, tuple)):
            return value
        return [recognise(item) if isinstance(item, str) else item for item in value]

    @property
    def iocs(self) -> list[str]:
        """The observables' values, in order."""
        return [observable.value for observable in self.observables]

    def named(self, *names: str) -> Iterator[tuple[str, SourceField]]:
        """Yield (evidence id, field) of every field that has one of `names`, in record order."""
        for number, field in enumerate(self.fields, start=1):
            if field.name in names:
                yield f"f{number}", field

    def evidence(self) -> tuple[Evidence, ...]:
        """Return every field as a piece of evidence, `f1` first."""
        return tuple(
            Evidence(
                id=f"f{number}",
                kind="field",
                provenance=field.provenance,
                text=UntrustedText(f"{field.name}: {str.__str__(field.value)}"),
                source=field.path,
                attributes={"name": field.name, "value": str.__str__(field.value)},
            )
            for number, field in enumerate(self.fields, start=1)
        )


def moment(value: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with a trailing Z, microseconds only where there are any."""
    return value.isoformat().replace("+00:00", "Z")
