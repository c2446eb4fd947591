"""Storage models of the founding contract, on SQLite in memory."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from aurora.kernel.models import Alert, Device
from aurora.storage.models import AlertModel, CaseModel, CPSDeviceModel, IOCModel
from tests.conftest import NOON


class TestAlertModel:
    async def test_create_alert(self, db_session: AsyncSession, sample_alert_data: dict[str, Any]) -> None:
        db_session.add(AlertModel(**sample_alert_data))
        await db_session.commit()
        db_session.expunge_all()

        alert = (await db_session.execute(select(AlertModel))).scalar_one()

        assert str(alert.id) == sample_alert_data["id"]
        assert alert.iocs == sample_alert_data["iocs"]
        assert alert.mitre_techniques == ["T1071.004"]

    async def test_an_id_and_a_moment_appear_where_none_is_given(self, db_session: AsyncSession) -> None:
        db_session.add(AlertModel(title="bare", severity="low", source="network"))
        await db_session.commit()
        db_session.expunge_all()

        alert = (await db_session.execute(select(AlertModel))).scalar_one()

        assert isinstance(alert.id, UUID)
        assert alert.id.version == 7
        assert alert.created_at.tzinfo is UTC
        assert alert.status == "new"
        assert alert.iocs == []

    async def test_moments_come_back_aware_and_naive_ones_are_refused(self, db_session: AsyncSession) -> None:
        oslo = NOON.astimezone(timezone(timedelta(hours=1)))
        db_session.add(AlertModel(title="a", severity="low", source="network", created_at=oslo))
        await db_session.commit()
        db_session.expunge_all()

        assert (await db_session.execute(select(AlertModel.created_at))).scalar_one() == NOON

        db_session.add(AlertModel(title="b", severity="low", source="network", created_at=NOON.replace(tzinfo=None)))
        with pytest.raises(StatementError, match="has no time zone"):
            await db_session.commit()

    def test_the_sample_builds_the_domain_alert_too(self, sample_alert_data: dict[str, Any]) -> None:
        alert = Alert(**sample_alert_data)

        assert alert.iocs == sample_alert_data["iocs"]
        assert [each.type.value for each in alert.observables] == ["domain", "ip"]


class TestCaseModel:
    async def test_alerts_point_to_their_case(self, db_session: AsyncSession) -> None:
        case = CaseModel(title="Exfiltration", severity="high")
        db_session.add(case)
        await db_session.flush()
        db_session.add_all(
            AlertModel(title=title, severity="high", source="network", case_id=case.id) for title in ("first", "second")
        )
        await db_session.commit()

        linked = (await db_session.execute(select(AlertModel.title).where(AlertModel.case_id == case.id))).scalars()

        assert sorted(linked) == ["first", "second"]
        assert case.status == "open"


class TestCPSDeviceModel:
    async def test_create_device(self, db_session: AsyncSession, sample_device_data: dict[str, Any]) -> None:
        db_session.add(CPSDeviceModel(**sample_device_data))
        await db_session.commit()
        db_session.expunge_all()

        device = (await db_session.execute(select(CPSDeviceModel))).scalar_one()

        assert {name: getattr(device, name) for name in sample_device_data} == sample_device_data
        assert Device(**sample_device_data).risk_score == pytest.approx(0.1)


class TestIOCModel:
    async def test_type_and_value_are_unique_together(self, db_session: AsyncSession) -> None:
        db_session.add(IOCModel(type="ip", value="203.0.113.7", source="feed a"))
        db_session.add(IOCModel(type="domain", value="203.0.113.7", source="feed a"))
        await db_session.commit()

        db_session.add(IOCModel(type="ip", value="203.0.113.7", source="feed b"))

        with pytest.raises(IntegrityError):
            await db_session.commit()

    async def test_two_tenants_may_hold_the_same_indicator(self, db_session: AsyncSession) -> None:
        db_session.add(IOCModel(tenant="north", type="ip", value="203.0.113.7", source="feed"))
        db_session.add(IOCModel(tenant="south", type="ip", value="203.0.113.7", source="feed"))

        await db_session.commit()

        assert await db_session.scalar(select(func.count()).select_from(IOCModel)) == 2


class TestPopulatedDatabase:
    async def test_it_holds_three_alerts_of_each_severity(self, populated_db: AsyncSession) -> None:
        query = select(AlertModel.severity, func.count()).group_by(AlertModel.severity)

        counts = {row[0]: row[1] for row in await populated_db.execute(query)}

        assert counts == {"critical": 3, "high": 3, "medium": 3, "low": 3}
        assert await populated_db.scalar(select(func.count()).select_from(CPSDeviceModel)) == 1
        assert await populated_db.scalar(select(func.count()).select_from(IOCModel)) == 1

    @pytest.mark.parametrize("run", ["first", "second"])
    async def test_a_committed_row_does_not_reach_the_next_test(
        self, run: str, db_engine: AsyncEngine, db_session: AsyncSession
    ) -> None:
        assert await db_session.scalar(select(func.count()).select_from(AlertModel)) == 0, run

        db_session.add(AlertModel(title=run, severity="low", source="network", created_at=NOON - timedelta(hours=1)))
        await db_session.commit()
