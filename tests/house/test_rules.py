"""Our own rules hold for all of the code, and each of them catches what it is there for."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.house.rules import RULES, Rule
from tests.house.rules.aware_moments import AwareMoments
from tests.house.rules.framed_text import FramedText
from tests.house.rules.models_from_factory import ModelsFromFactory
from tests.house.rules.one_unit_of_work import OneUnitOfWork
from tests.house.rules.owned_tasks import OwnedTasks
from tests.house.rules.queries_in_repositories import QueriesInRepositories

ROOT = Path(__file__).parents[2]
PACKAGES = ("aurora", "agents", "graphs", "memory")

CAUGHT = [
    (AwareMoments(), "from datetime import datetime\nx = datetime.now()"),
    (AwareMoments(), "import datetime\nx = datetime.datetime.utcnow()"),
    (AwareMoments(), "from datetime import UTC, datetime\nx = datetime.now(UTC)"),
    (AwareMoments(), "import time\nx = time.time()"),
    (OwnedTasks(), "import asyncio\nasyncio.create_task(work())"),
    (OwnedTasks(), "loop.create_task(work())"),
    (OwnedTasks(), "import asyncio\nasyncio.ensure_future(work())"),
    (ModelsFromFactory(), "from langchain_openai import ChatOpenAI"),
    (ModelsFromFactory(), "def f():\n    import anthropic"),
    (ModelsFromFactory(), "from langchain.chat_models import init_chat_model\nx = 1"),
    (ModelsFromFactory(), "model = chat_models.init_chat_model('gpt')"),
    (FramedText(), "def f(title: UntrustedText):\n    return f'Title: {title!s}'"),
    (FramedText(), "def f(title: UntrustedText | None):\n    return 'Title: ' + title"),
    (FramedText(), "def f(title: UntrustedText):\n    return 'Title: %s' % title"),
    (FramedText(), "def f(title: UntrustedText):\n    return 'Title: {}'.format(title)"),
    (FramedText(), "note = UntrustedText('x')\ny = f'{str(note)}'"),
    (FramedText(), "def prompt(alert):\n    return f'Title: {alert.title}'"),
    (FramedText(), "def prompt(entity):\n    return f'Host: {str(entity.value)}'"),
    (FramedText(), "def prompt(entity):\n    return f'Host: {entity.value!s}'"),
    (FramedText(), "def prompt(entity):\n    return 'Host: ' + entity.value"),
    (OneUnitOfWork(), "async def f(session):\n    await session.commit()"),
    (OneUnitOfWork(), "async def f(self):\n    await self._session.commit()"),
    (OneUnitOfWork(), "async def f(session):\n    async with session.begin():\n        pass"),
    (QueriesInRepositories(), "from sqlalchemy import select"),
    (QueriesInRepositories(), "import sqlalchemy as sa\nx = sa.select(1)"),
    (QueriesInRepositories(), "from sqlalchemy.dialects.sqlite import insert"),
]

PASSED = [
    (AwareMoments(), "x = clock.now()"),
    (OwnedTasks(), "async def f():\n    async with asyncio.TaskGroup() as group:\n        group.create_task(work())"),
    (OwnedTasks(), "def f(group: asyncio.TaskGroup):\n    group.create_task(work())"),
    (ModelsFromFactory(), "from langchain_core.messages import AIMessage"),
    (FramedText(), "def f(title: UntrustedText):\n    return f'Title: {quoted(title)}'"),
    (FramedText(), "def f(step: Severity):\n    return f'{step.value}'"),
    (FramedText(), "def f(title: str, number: int):\n    return f'{title} {number}'"),
    (OneUnitOfWork(), "async def f(uow):\n    await uow.commit()"),
    (QueriesInRepositories(), "from sqlalchemy.ext.asyncio import AsyncSession"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_the_code_keeps_the_rule(rule: Rule) -> None:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]

    broken = [
        violation
        for file in files
        for violation in rule.check(file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix())
    ]

    assert files, "the rule must have something to look at"
    assert not broken, f"{type(rule).__doc__}\n" + "\n".join(map(str, broken))


@pytest.mark.parametrize(("rule", "source"), CAUGHT)
def test_a_rule_catches_what_it_is_there_for(rule: Rule, source: str) -> None:
    assert len(rule.check(dedent(source), "agents/bad.py")) == 1


@pytest.mark.parametrize(("rule", "source"), PASSED)
def test_a_rule_lets_the_right_way_pass(rule: Rule, source: str) -> None:
    assert rule.check(dedent(source), "agents/good.py") == []


def test_each_rule_is_tested_and_tells_its_incident() -> None:
    for rule in RULES:
        assert any(type(rule) is type(tested) for tested, _ in CAUGHT)
        assert "Incident it prevents:" in (type(rule).__doc__ or "")


def test_a_rule_does_not_hold_where_it_is_allowed() -> None:
    source = "async def f(session):\n    await session.commit()"

    assert OneUnitOfWork().check(source, "aurora/storage/unit_of_work.py") == []
    assert OneUnitOfWork().check(source, "aurora/storage/unit_of_work_other.py")
