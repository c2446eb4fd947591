"""What public knowledge says: ATT&CK techniques and software, and hits on warning lists."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Tactic(BaseModel):
    """Why an adversary does something, e.g. `TA0006`, `credential-access`, `Credential Access`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    key: str
    """Short name as ATT&CK and most products write it in data."""
    name: str


class TechniqueStatus(StrEnum):
    """Whether ATT&CK still uses an id."""

    CURRENT = "current"
    REVOKED = "revoked"
    """Another id took its place."""
    DEPRECATED = "deprecated"
    """Withdrawn without a successor."""


class Technique(BaseModel):
    """A technique or sub-technique of ATT&CK Enterprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    status: TechniqueStatus = TechniqueStatus.CURRENT
    revoked_by: str | None = None
    """The id that took its place, which may be revoked in turn: `AttackKnowledge.current` follows."""
    tactics: tuple[Tactic, ...] = ()
    """Empty where the id is no longer in use; so are the platforms."""
    platforms: tuple[str, ...] = ()


class SoftwareKind(StrEnum):
    """How ATT&CK files a piece of software."""

    MALWARE = "malware"
    TOOL = "tool"
    """Made or used for honest ends too."""


class Software(BaseModel):
    """Malware or a tool that adversaries are known to use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    kind: SoftwareKind
    aliases: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    """Current ATT&CK ids of what it is known to do, sorted."""
    built_in: bool = False
    """Ships with an operating system: that it ran says nothing by itself. Our judgement, not ATT&CK's."""


class WarningCategory(StrEnum):
    """What it means that a value is on a warning list."""

    BENIGN_INFRASTRUCTURE = "benign_infrastructure"
    """Run by one known owner for everybody: public resolvers, update servers, Office 365."""
    POPULAR_SITE = "popular_site"
    """Among the most visited names; weaker than infrastructure."""
    CLOUD_HOSTING = "cloud_hosting"
    """Anybody may rent it. Neutral."""
    CONTENT_DELIVERY = "content_delivery"
    """A front of many sites, honest and other. Neutral."""
    USER_CONTENT = "user_content"
    """A trusted site where anybody may put files or pages, a known way to hide."""
    SCANNER = "scanner"
    """Research scanners and crawlers: they touch everybody."""
    SINKHOLE = "sinkhole"
    """Takes the traffic of known malware, or of names that a resolver blocks."""
    DYNAMIC_OR_DISPOSABLE = "dynamic_or_disposable"
    """URL shorteners, disposable mail, parked names."""
    IP_LOOKUP = "ip_lookup"
    """Tells a caller its own public address; malware asks often."""
    SECURITY_SERVICE = "security_service"
    """Sandboxes and vendors of security products."""
    SIMULATION = "simulation"
    """Phishing awareness campaigns."""
    FALSE_POSITIVE_HASH = "false_positive_hash"
    """Files that lists of indicators name by mistake: empty, trivial, EICAR, parts of operating systems."""
    SPECIAL_USE = "special_use"
    """Reserved for documentation or private use."""

    @property
    def speaks_for_benign(self) -> bool:
        """Whether a hit makes an observable less suspicious."""
        return self in _BENIGN


_BENIGN = frozenset(
    {
        WarningCategory.BENIGN_INFRASTRUCTURE,
        WarningCategory.POPULAR_SITE,
        WarningCategory.SECURITY_SERVICE,
        WarningCategory.SIMULATION,
        WarningCategory.FALSE_POSITIVE_HASH,
        WarningCategory.SPECIAL_USE,
    }
)


class WarningHit(BaseModel):
    """A warning list that holds a value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    list_id: str
    name: str
    version: str
    category: WarningCategory
