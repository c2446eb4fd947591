"""What every test has: fixtures of the founding contract, an injected clock and seeded ids."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import hypothesis
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from aurora.dispatch.brokers.redis import RedisPublisher
from aurora.kernel.ids import Uuid7Factory
from aurora.settings import Settings, load_settings
from aurora.storage.models import AlertModel, Base, CPSDeviceModel, IOCModel
from aurora.testing import ManualClock, MemoryPublisher

# Property tests draw the same examples in every run, so that nobody's change fails by chance. To look further:
# HYPOTHESIS_PROFILE=explore make test ARGS="..."
hypothesis.settings.register_profile("same", derandomize=True, database=None)
hypothesis.settings.register_profile("explore", derandomize=False)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

pytest_plugins = [
    "aurora.testing.fixtures",
    "tests.plugins.no_network",
    "tests.plugins.no_live_model",
    "tests.plugins.databases",
    "tests.plugins.brokers",
]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still until a test moves it."""
    return ManualClock(NOON)


@pytest.fixture
def ids(clock: ManualClock) -> Uuid7Factory:
    """Ids that are the same in every run."""
    return Uuid7Factory(clock=clock, generator=random.Random(7))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a fresh installation, with a key that signs tokens."""
    return load_settings(
        environ={},
        directory=tmp_path,
        auth__jwt_secret_key="only for tests: sixty-four characters, as long as HS512 would want",
    )


@pytest.fixture
async def db_engine() -> AsyncIterator[AsyncEngine]:
    """A database in memory, of this test alone, with all tables."""
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


@pytest.fixture
async def db_session(db_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session whose objects stay readable after a commit; what is not committed is rolled back."""
    async with async_sessionmaker(db_engine, expire_on_commit=False)() as session:
        yield session
        await session.rollback()


@pytest.fixture
def mock_redis() -> Any:
    """Has the spec of `RedisPublisher`, records its calls, and does what a `MemoryPublisher` does."""
    memory = MemoryPublisher()
    publisher = create_autospec(RedisPublisher, instance=True, spec_set=True)
    for name in ("publish_audit", "publish_alert", "publish_agent_task", "publish_agent_result"):
        getattr(publisher, name).side_effect = getattr(memory, name)
    return publisher


@pytest.fixture
def sample_alert_data() -> dict[str, Any]:
    """Builds an `AlertModel` row and an `Alert`."""
    return {
        "id": "0198c0de-0000-7000-8000-000000000001",
        "title": "DNS tunnelling to a rare domain",
        "severity": "critical",
        "status": "new",
        "source": "network",
        "description": "Long TXT queries at a steady pace from one workstation.",
        "iocs": ["exfil.tunnel-test.org", "203.0.113.77"],
        "mitre_techniques": ["T1071.004"],
    }


@pytest.fixture
def sample_device_data() -> dict[str, Any]:
    """Builds a `CPSDeviceModel` row and a `Device`."""
    return {
        "device_id": "door-ctl-17",
        "device_type": "access_controller",
        "firmware_stack": "ada_spark",
        "firmware_version": "2.4.1",
        "firmware_hash": "9f" * 32,
        "attestation_status": "verified",
        "risk_score": 0.1,
        "location": "Building 3, east entrance",
    }


@pytest.fixture
async def populated_db(db_session: AsyncSession, sample_device_data: dict[str, Any]) -> AsyncSession:
    """12 alerts, 3 for each of critical, high, medium and low; 1 device; 1 indicator."""
    for severity in ("critical", "high", "medium", "low"):
        db_session.add_all(
            AlertModel(
                title=f"{severity} alert {number}",
                severity=severity,
                source="network",
                created_at=NOON - timedelta(minutes=number),
            )
            for number in range(3)
        )
    db_session.add(CPSDeviceModel(**sample_device_data))
    db_session.add(IOCModel(type="domain", value="exfil.tunnel-test.org", source="analyst", confidence=0.9))
    await db_session.commit()
    return db_session
