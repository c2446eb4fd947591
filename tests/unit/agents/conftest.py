"""Judges: all rules and enrichers over the shipped knowledge."""

from __future__ import annotations

import pytest

from agents import analyst
from aurora.kernel.models import Alert
from aurora.knowledge.attack import Attack
from aurora.knowledge.warninglists import WarningLists
from aurora.sdk.knowledge import Knowledge
from aurora.sdk.view import TriageView
from tests.unit.agents.making import ENRICHERS, RULES, see


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return Knowledge(attack=Attack(), lists=WarningLists())


@pytest.fixture(scope="session")
def attack(knowledge) -> Attack:
    return knowledge.attack


@pytest.fixture
def judge(knowledge):
    """Assess, verify and decide under all rules; return the decision and what was kept."""

    def judge(view: TriageView):
        kept, _ = analyst.verify(view, analyst.assess(view, RULES), knowledge.attack)
        return analyst.decide(view, kept), kept

    return judge


@pytest.fixture
def enriched(knowledge):
    """Return the view of an alert with what all enrichers find."""

    async def enriched(alert: Alert) -> TriageView:
        return see(alert, *[finding for each in ENRICHERS for finding in await each.function(alert, knowledge)])

    return enriched
