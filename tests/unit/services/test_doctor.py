"""Each check finds what it is there for, and says what mends it."""

from __future__ import annotations

import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from aurora.services.doctor import (
    FEW_BYTES,
    LEAST_BYTES,
    State,
    clock_sanity,
    data_directory,
    database,
    disk,
    examine,
    extras,
    model,
    python,
)
from aurora.settings import ModelSettings, load_settings
from aurora.storage.engine import open_engine
from aurora.storage.schema import ensure_current

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def settings_on(path: Path):
    return load_settings(environ={}, directory=Path("/"), database__url=f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("found", "state"),
    [((3, 10, 14), State.MEND), ((3, 11, 0), State.OK), ((3, 14, 1), State.OK), ((2, 7), State.MEND)],
)
def test_a_python_that_is_too_old_must_be_mended(found, state):
    check = python(found)

    assert check.state is state
    assert ("3.11" in check.remedy) is (state is State.MEND)


@pytest.mark.parametrize(
    ("off", "state"),
    [(timedelta(days=-400), State.MEND), (timedelta(hours=-20), State.OK), (timedelta(days=4000), State.OK)],
)
def test_a_clock_behind_the_files_of_the_installation_must_be_mended(off, state):
    assert clock_sanity(NOON + off, NOON).state is state


@pytest.mark.parametrize(
    ("free", "state"), [(0, State.MEND), (LEAST_BYTES, State.NOTE), (FEW_BYTES, State.OK)]
)  # fmt: skip
def test_a_full_disk_must_be_mended_and_a_nearly_full_one_is_noted(tmp_path, free, state):
    assert disk(tmp_path, free).state is state


async def test_a_database_that_is_not_there_is_not_made(tmp_path):
    file = tmp_path / "no" / "aurora.db"

    check = await database(settings_on(file))

    assert check.state is State.NOTE
    assert "none yet" in check.found
    assert list(tmp_path.iterdir()) == []


async def test_a_database_of_this_schema_is_ok_and_of_another_names_the_command(tmp_path):
    file = tmp_path / "aurora.db"
    async with open_engine(f"sqlite:///{file}") as engine:
        await ensure_current(engine)
    current = await database(settings_on(file))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    older = await database(settings_on(file))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    newer = await database(settings_on(file))

    assert current.state is State.OK
    assert (older.state, older.remedy) == (State.MEND, f"aurora db upgrade --db sqlite:///{file}")
    assert (newer.state, newer.remedy) == (State.MEND, "pip install --upgrade aurora-soc")


async def test_a_file_that_is_no_database_and_one_of_somebody_else_are_told(tmp_path):
    text, other = tmp_path / "text.db", tmp_path / "other.db"
    text.write_bytes(b"this is text, and long enough to be looked at" * 100)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()

    checks = [await database(settings_on(file)) for file in (text, other)]

    assert [each.state for each in checks] == [State.MEND, State.MEND]
    assert "not a database" in checks[0].found
    assert "not Aurora's" in checks[1].found


async def test_no_check_shows_the_password_of_a_database():
    settings = load_settings(
        environ={}, directory=Path("/"), database__url="postgresql://soc:hunter2@/aurora?host=/no/such/place"
    )

    check = await database(settings)

    assert check.state is State.MEND
    assert "hunter2" not in check.found + check.remedy


def test_a_place_below_a_file_cannot_hold_a_database(tmp_path):
    (tmp_path / "file").touch()

    (check,) = data_directory(settings_on(tmp_path / "file" / "aurora.db"))

    assert check.state is State.MEND
    assert "AURORA_DATABASE__URL" in check.remedy


def test_a_directory_that_is_missing_is_made_later(tmp_path):
    directory, space = data_directory(settings_on(tmp_path / "new" / "deep" / "aurora.db"))

    assert (directory.state, space.name) == (State.OK, "disk")
    assert "made when it is needed" in directory.found
    assert not (tmp_path / "new").exists()


async def test_a_driver_that_is_missing_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    settings = load_settings(environ={}, directory=Path("/"), database__url="postgresql://soc@localhost/aurora")

    check = await database(settings)

    assert (check.state, check.remedy) == (State.MEND, "pip install 'aurora-soc[postgres]'")


@pytest.mark.parametrize(
    ("name", "found", "remedy"),
    [
        ("nobody:small", "Aurora knows", "aurora model list"),
        ("bedrock:claude", "package that is not installed", "pip install 'aurora-soc[bedrock]'"),
        ("openai:gpt-5-mini", "needs a key", "export OPENAI_API_KEY="),
    ],
)
def test_a_model_that_cannot_be_asked_must_be_mended(monkeypatch, name, found, remedy):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "langchain_aws", None)

    check = model(ModelSettings(name=name))

    assert check.state is State.MEND
    assert found in check.found
    assert remedy in check.remedy


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(name="ollama:qwen3:8b"),
        ModelSettings(name="openai:local", url="http://127.0.0.1:8080/v1"),
        ModelSettings(name="openai:gpt-5-mini", api_key="sk-test"),
    ],
)
def test_a_model_that_can_be_asked_is_fine_and_its_key_is_not_shown(settings):
    check = model(settings)

    assert check.state is State.OK
    assert "sk-test" not in check.found


REQUIRED = [
    "alembic>=1.16",
    'asyncpg>=0.30; extra == "postgres"',
    "langchain-openai>=1.1; extra == 'openai'",
    'genai-prices>=0.2; extra == "openai"',
    'aurora-soc[postgres]; extra == "services"',
    'ruff>=0.14; extra == "dev"',
]


def test_extras_are_noted_with_the_command_that_installs_them():
    found = {each.name: each for each in extras(required=lambda: REQUIRED, has=lambda name: name != "langchain-openai")}

    assert set(found) == {"extra postgres", "extra openai"}
    assert found["extra postgres"].state is State.OK
    assert found["extra openai"].state is State.NOTE
    assert found["extra openai"].found == "not installed: langchain-openai"
    assert found["extra openai"].remedy == "pip install 'aurora-soc[openai]'"


def test_a_source_tree_without_metadata_does_not_break_the_check():
    def missing() -> list[str]:
        raise PackageNotFoundError

    (check,) = extras(required=missing)

    assert check.state is State.NOTE


async def test_settings_that_cannot_be_loaded_do_not_stop_the_other_checks(clock):
    checks = [
        each
        async for each in examine(
            overrides={}, clock=clock, environ={"AURORA_ENVIRONMENT": "production"}, directory=Path("/")
        )
    ]

    found = {each.name: each for each in checks}
    assert found["settings"].state is State.MEND
    assert "jwt_secret_key is required in production" in found["settings"].found
    assert "python" in found
    assert any(name.startswith("extra") for name in found)
    assert "database" not in found
