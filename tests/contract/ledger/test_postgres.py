"""The ledger on a real PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from aurora.storage.unit_of_work import Storage
from tests.contract.ledger.claiming import ClaimingContract
from tests.contract.ledger.house import house
from tests.contract.ledger.leases import LeasesContract
from tests.contract.ledger.people import PeopleContract
from tests.contract.ledger.settling import SettlingContract

__all__ = ["house"]

pytestmark = pytest.mark.integration


@pytest.fixture
def storage(engine_postgres: AsyncEngine) -> Storage:
    return Storage(engine_postgres)


class TestClaiming(ClaimingContract):
    pass


class TestLeases(LeasesContract):
    pass


class TestSettling(SettlingContract):
    pass


class TestPeople(PeopleContract):
    pass


def test_no_clause_went_missing() -> None:
    for contract in (ClaimingContract, LeasesContract, SettlingContract, PeopleContract):
        assert sum(name.startswith("test_") for name in dir(contract)) == contract.clauses
