"""What `deploy/` says is true of this Aurora: commands, settings and times exist and fit."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from aurora.cli.main import COMMANDS
from aurora.dispatch.worker import PARTING
from aurora.settings import Settings
from aurora.settings.sources import known_names, variable

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES = {variable(name) for name in known_names(Settings)} | {
    f"{variable(name)}_FILE" for name, is_secret in known_names(Settings).items() if is_secret
}
LONGEST_STOP = Settings().dispatch.drain_timeout + PARTING


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_every_service_of_aurora_runs_a_command_that_exists_with_settings_that_exist(compose):
    ours = {name: each for name, each in compose["services"].items() if each.get("image") == "aurora-soc"}

    assert set(ours) == {"migrate", "scheduler", "worker"}
    assert {each["command"][0] for each in ours.values()} <= set(COMMANDS)
    for each in ours.values():
        assert set(each["environment"]) - {"AURORA_CONFIG"} <= VARIABLES


def test_every_secret_that_is_used_is_declared_and_filled_in_by_the_example(compose):
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    used = {name for each in compose["services"].values() for name in each.get("secrets", ())}

    assert used == set(compose["secrets"])
    assert {each["environment"] for each in compose["secrets"].values()} == set(
        re.findall(r"^(\w+)=", example, re.MULTILINE)
    )


def test_a_drain_is_never_cut_off(compose):
    grace = timedelta(seconds=int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s")))
    (unit,) = [each for each in UNITS if "worker" in each.name]
    stop = timedelta(
        seconds=int(re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)[1])
    )

    assert grace > LONGEST_STOP
    assert stop > LONGEST_STOP


def test_a_service_with_secrets_from_the_environment_has_a_file_system_that_they_can_be_copied_into(compose):
    copied = {name for name, each in compose["secrets"].items() if "environment" in each}

    for each in compose["services"].values():
        assert not (each.get("read_only") and copied & set(each.get("secrets", ())))


def test_every_worker_of_a_machine_has_a_port_for_its_health_that_needs_no_privilege():
    (unit,) = [each for each in UNITS if "worker" in each.name]
    port = re.search(r"--health-port (\S+)", unit.read_text(encoding="utf-8"))[1]

    ports = [int(port.replace("%i", str(number))) for number in range(1, 100)]

    assert len(set(ports)) == len(ports)
    assert min(ports) >= 1024
    assert max(ports) < 65536


def test_an_image_is_built_from_the_sources_of_its_wheel_and_nothing_else():
    text = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))

    let_in = {line.removeprefix("!") for line in text.splitlines() if line.startswith("!")}

    assert "\n*\n" in text
    assert let_in == {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    }


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.name)
def test_units_start_a_command_that_exists_with_settings_that_exist_and_few_rights(unit):
    text = unit.read_text(encoding="utf-8")

    assert re.search(r"^ExecStart=\S+/aurora (\w+)", text, re.MULTILINE)[1] in COMMANDS
    assert set(re.findall(r"\b(AURORA_\w+)=", text)) - {"AURORA_CONFIG"} <= VARIABLES
    assert "\nProtectProc=" not in text, "it hides live owners from `is_dead`, which then takes their tasks"
    for line in ("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="):
        assert f"\n{line}\n" in text
