"""A cyber-physical device and what its attestation said."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class AttestationStatus(StrEnum):
    """What the last attestation of a device said."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


class Device(BaseModel):
    """A controller, sensor or other device of the plant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device_id: str = Field(min_length=1)
    device_type: str
    firmware_stack: str
    firmware_version: str
    firmware_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the firmware image, 64 hex digits."""
    attestation_status: AttestationStatus = AttestationStatus.UNKNOWN
    risk_score: float = Field(default=0.0, ge=0.0, le=1.0)
    """0 harmless, 1 certain trouble."""
    location: str = ""
