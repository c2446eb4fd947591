"""`aurora doctor`, `aurora config` and `aurora completion`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.cli.main import COMMANDS
from tests.command import ROOT, aurora

SECRET = "a-signing-key-of-more-than-thirty-two-characters"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No setting of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("AURORA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AURORA_DATABASE__URL", f"sqlite:///{tmp_path}/data/aurora.db")


def test_a_sound_installation_has_nothing_to_mend(tmp_path):
    aurora("db", "upgrade")

    result = aurora("doctor", "--json")

    found = {each["check"]: each for each in result.documents}
    assert result.status == 0
    assert {
        "python",
        "installation",
        "clock",
        "settings",
        "signing key",
        "disk",
        "database",
        "model",
        "content",
    } <= set(found)
    assert found["database"]["state"] == "ok"
    assert all(each["remedy"] for each in result.documents if each["state"] == "mend")


def test_the_doctor_changes_nothing(tmp_path):
    result = aurora("doctor")

    assert result.status == 0
    assert "nothing must be mended" in result.out
    assert list(tmp_path.iterdir()) == []


def test_what_must_be_mended_makes_the_exit_status_and_is_told_with_its_command(monkeypatch):
    monkeypatch.setenv("AURORA_CONTENT__TRUSTED_PLUGINS", "nosuch")

    human, as_json = aurora("doctor"), aurora("doctor", "--json")

    assert human.status == as_json.status == 1
    assert "plugin 'nosuch': trusted, but not installed" in human.out
    assert "1 must be mended" in human.out
    (mend,) = [each for each in as_json.documents if each["state"] == "mend"]
    assert (mend["check"], bool(mend["remedy"])) == ("content", True)


def test_production_without_a_signing_key_must_be_mended(monkeypatch):
    monkeypatch.setenv("AURORA_ENVIRONMENT", "production")
    without = aurora("doctor", "--json")
    monkeypatch.setenv("AURORA_AUTH__JWT_SECRET_KEY", SECRET)

    with_key = aurora("doctor", "--json")

    assert (without.status, with_key.status) == (1, 0)
    assert "jwt_secret_key is required in production" in without.out
    assert SECRET not in with_key.out


def test_hostile_settings_do_not_reach_the_terminal(monkeypatch):
    monkeypatch.setenv("AURORA_CONTENT__TRUSTED_PLUGINS", "\x1b[2J\u202eevil")

    for result in (aurora("doctor"), aurora("config", "show", "--origin"), aurora("doctor", "--json")):
        assert not set(result.out + result.err) & set("\x1b\u202e")


def test_every_setting_is_shown_with_its_value_and_origin_and_no_secret(tmp_path, monkeypatch):
    (tmp_path / "aurora.toml").write_text('[triage]\njobs = 3\n[ingest]\ndedup_window = "90m"\n', encoding="utf-8")
    monkeypatch.setenv("AURORA_AUTH__JWT_SECRET_KEY", SECRET)
    monkeypatch.setenv("AURORA_DATABASE__URL", "postgresql://soc:hunter2@db.example/aurora")

    listed = {each["name"]: each for each in aurora("config", "show", "--json").documents}
    human = aurora("config", "show", "--origin")

    assert listed["triage.jobs"] == {
        "name": "triage.jobs",
        "value": "3",
        "secret": False,
        "origin": str(tmp_path / "aurora.toml"),
    }
    assert listed["ingest.dedup_window"]["value"] == "90m"
    assert listed["observability.log_level"]["origin"] == "default"
    assert (listed["auth.jwt_secret_key"]["value"], listed["auth.jwt_secret_key"]["origin"]) == (
        "***",
        "AURORA_AUTH__JWT_SECRET_KEY",
    )
    assert listed["database.url"]["value"] == "postgresql+asyncpg://soc:***@db.example/aurora"
    for text in (str(listed), human.out):
        assert "hunter2" not in text
        assert SECRET not in text
    assert "AURORA_DATABASE__URL" in human.out


def test_what_config_shows_can_be_set_again_to_the_same(monkeypatch):
    listed = [each for each in aurora("config", "show", "--json").documents if each["value"] and not each["secret"]]
    for each in listed:
        monkeypatch.setenv("AURORA_" + each["name"].upper().replace(".", "__"), each["value"])

    again = {each["name"]: each["value"] for each in aurora("config", "show", "--json").documents}

    assert {each["name"]: each["value"] for each in listed}.items() <= again.items()


def test_an_unknown_setting_is_an_error(monkeypatch):
    monkeypatch.setenv("AURORA_TRIAGE__JOBZ", "3")

    result = aurora("config", "show")

    assert result.status == 2
    assert "did you mean AURORA_TRIAGE__JOBS?" in result.err


def test_the_path_of_the_settings_is_told_there_or_not(tmp_path, monkeypatch):
    here = aurora("config", "path")
    monkeypatch.setenv("AURORA_CONFIG", "/etc/aurora/soc.toml")

    there = aurora("config", "path")

    assert here.out == f"{tmp_path}/aurora.toml\n"
    assert "no such file" in here.err
    assert there.out == "/etc/aurora/soc.toml\n"


def complete(shell: str, line: str) -> list[str]:
    """Ask in a process of its own, as a shell does, for what may follow a line."""
    words = line.split(" ")
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_AURORA_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    program = "import sys; from aurora.cli.main import main; main(); sys.exit(9)"
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("aurora alerts li", {"list"}),
        ("aurora alerts list --ver", {"--verdict"}),
        ("aurora alerts list --verdict ", {"malicious", "suspicious", "needs_review", "benign"}),
        ("aurora alerts list --severity=h", {"high"}),
        ("aurora completion ", {"bash", "zsh", "fish"}),
        ("aurora triage --rep", {"--report"}),
        ("aurora triage /tmp/", set()),
    ],
)
def test_commands_options_and_values_are_completed(line, candidates):
    assert set(filter(None, complete("bash", line))) == candidates


def test_every_command_is_completed_in_every_shell():
    for shell in ("bash", "fish", "zsh"):
        answer = "\n".join(complete(shell, "aurora "))

        assert [name for name in COMMANDS if name not in answer] == [], shell


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed_and_that_shell_can_read_it(tmp_path, shell):
    result = aurora("completion", shell)

    assert result.status == 0
    assert f"complete_{shell}" in result.out
    if found := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(result.out, encoding="utf-8")
        read = subprocess.run([found, "-n", str(script)], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_with_the_script(tmp_path):
    command = tmp_path / "bin" / "aurora"
    command.parent.mkdir()
    command.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c 'from aurora.cli.main import main; main()' \"$@\"\n",
        encoding="utf-8",
    )
    command.chmod(0o755)
    program = (
        aurora("completion", "bash").out + "\nCOMP_WORDS=(aurora alerts sh)\nCOMP_CWORD=2\n_aurora_complete aurora\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )

    done = subprocess.run(
        [str(shutil.which("bash")), "--norc", "-c", program],
        env={**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path("/"),
    )

    assert done.stdout == "show\n"


def test_the_doctor_counts_what_the_check_of_the_content_counts():
    found = {each["check"]: each for each in aurora("doctor", "--json").documents}

    (checked,) = aurora("content", "check", "--json").documents
    assert found["content"]["found"] == f"{checked['items']} items, no fault"
