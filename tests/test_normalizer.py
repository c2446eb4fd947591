"""The domain models that every format produces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from aurora.ingest.formats.registry import Formats
from aurora.kernel.ids import AlertId
from aurora.kernel.models import (
    Alert,
    AlertStatus,
    AttestationStatus,
    Device,
    EntityType,
    Indicator,
    IndicatorStatus,
    ObservableType,
    Severity,
)

ALERT_ID = AlertId(UUID("01935000-0000-7000-8000-000000000001"))


def alert_data(**changes: Any) -> dict[str, Any]:
    """Return the smallest valid alert, changed as told."""
    return {"id": ALERT_ID, "title": "Encoded PowerShell", "severity": "high", "source": "edr", **changes}


class TestAlertEnums:
    def test_the_severities_are_five_and_ranked(self) -> None:
        ranked = sorted(Severity, key=lambda severity: severity.rank)

        assert [severity.value for severity in ranked] == ["info", "low", "medium", "high", "critical"]
        assert [severity for severity in Severity if severity.is_severe] == [Severity.CRITICAL, Severity.HIGH]

    def test_the_statuses_tell_which_alerts_are_closed(self) -> None:
        closed = {status.value for status in AlertStatus if status.is_closed}

        assert closed == {"resolved", "false_positive"}

    def test_entity_and_observable_types_have_their_stored_names(self) -> None:
        assert {kind.value for kind in EntityType} == {
            "host",
            "user",
            "address",
            "file",
            "process",
            "mailbox",
            "application",
        }
        assert {"ip", "domain", "url", "hash_md5", "hash_sha1", "hash_sha256", "email", "cve"} <= {
            kind.value for kind in ObservableType
        }


class TestAlertValid:
    def test_a_minimal_alert_has_the_defaults(self) -> None:
        alert = Alert.model_validate(alert_data())

        assert (alert.status, alert.format, alert.description, alert.rule) == (AlertStatus.NEW, "aurora", "", "")
        assert (alert.time, alert.entities, alert.iocs, alert.fields) == (None, (), [], ())

    def test_bare_iocs_are_typed_and_refanged(self) -> None:
        alert = Alert.model_validate(alert_data(iocs=["198.51.100[.]7", "c2[.]example[.]net"]))

        assert [(each.type, each.value) for each in alert.observables] == [
            (ObservableType.IP, "198.51.100.7"),
            (ObservableType.DOMAIN, "c2.example.net"),
        ]

    def test_an_alert_is_immutable(self) -> None:
        alert = Alert.model_validate(alert_data())

        with pytest.raises(ValidationError):
            alert.severity = Severity.INFO  # type: ignore[misc]  # what the test is about


class TestAlertInvalid:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("severity", "urgent"),
            ("title", ""),
            ("title", "x" * 501),
            ("source", ""),
            ("time", datetime(2026, 11, 20)),  # noqa: DTZ001 - the naive moment is what must be refused
            ("surprise", 1),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, key: str, value: object) -> None:
        with pytest.raises(ValidationError) as refused:
            Alert.model_validate(alert_data(**{key: value}))

        assert refused.value.errors()[0]["loc"] == (key,)


class TestAlertJson:
    def test_json_round_trip_keeps_every_value(self) -> None:
        alert = Alert.model_validate(
            alert_data(
                time=datetime(2026, 11, 20, 8, 15, tzinfo=UTC),
                iocs=["203.0.113.8"],
                mitre_techniques=["T1059.001"],
                entities=[{"type": "host", "value": "ws-7", "role": "target"}],
                fields=[{"name": "rule.name", "value": "«\u202ex»", "provenance": "sensor", "path": "/title"}],
            )
        )

        again = Alert.model_validate_json(alert.model_dump_json())

        assert again == alert

    def test_what_aurora_wrote_is_normalised_to_the_same_alert(self) -> None:
        formats = Formats()
        plain = {
            "title": "Beacon",
            "severity": "high",
            "source": "ids",
            "src_ip": "10.0.0.7",
            "dst_ip": "203.0.113.8",
            "time": "2026-11-20T08:15:00Z",
            "mitre_techniques": ["T1071.001"],
            "iocs": ["c2[.]example[.]net"],
        }
        alert = formats.by_id("aurora").normalise(plain, id=ALERT_ID)

        again = formats.by_id("aurora").normalise(alert.model_dump(mode="json"), id=ALERT_ID)

        assert again == alert


class TestAlertCompanions:
    def test_a_device_starts_unattested_and_its_firmware_hash_is_checked(self) -> None:
        data = {
            "device_id": "plc-1",
            "device_type": "plc",
            "firmware_stack": "zephyr",
            "firmware_version": "1.0",
            "firmware_hash": "0" * 64,
        }

        device = Device.model_validate(data)

        assert (device.attestation_status, device.risk_score) == (AttestationStatus.UNKNOWN, 0.0)
        with pytest.raises(ValidationError):
            Device.model_validate(data | {"firmware_hash": "not a hash"})

    def test_an_indicator_is_active_and_its_confidence_is_bounded(self) -> None:
        data = {"type": "ip", "value": "203.0.113.8", "source": "lab"}

        indicator = Indicator.model_validate(data)

        assert (indicator.status, indicator.confidence) == (IndicatorStatus.ACTIVE, 0.5)
        with pytest.raises(ValidationError):
            Indicator.model_validate(data | {"confidence": 1.5})
