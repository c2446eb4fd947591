"""The wheel, installed in a fresh environment and run from another directory.

Editable installs and tests see the source tree, so they cannot tell what the wheel forgot.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("aurora", "agents", "graphs", "memory")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built by the installed backend: nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--no-index"]
    run([*command, "--wheel-dir", str(folder), "--quiet"], cwd=folder)
    return next(folder.glob("aurora_soc-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """A fresh environment that holds the wheel; third parties come from the environment of the tests."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-index"]
    run([*install, "--no-deps", "--quiet", str(wheel)], cwd=folder)
    # A plain path, not site.addsitedir: the .pth of an editable install there must not be followed.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def run(command: list[str], *, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def aurora(environment: Path, *arguments: str) -> str:
    return run([str(environment / "bin" / "aurora"), *arguments], cwd=Path("/"))


def test_every_file_of_the_four_packages_is_inside(wheel) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    ours = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}

    assert {f"{name}/__init__.py" for name in PACKAGES} <= inside
    assert inside == ours or not ours, "the difference is missing from the wheel, or too much in it"


def test_nothing_else_is_inside(wheel) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if "tests/" in name or name.endswith(".pyc")]


def test_the_licence_is_inside(wheel) -> None:
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("licenses/LICENSE")]


def test_imports_come_from_the_wheel(environment) -> None:
    program = f"import importlib, json; print(json.dumps([importlib.import_module(n).__file__ for n in {PACKAGES}]))"

    files = json.loads(run([str(environment / "bin" / "python"), "-c", program], cwd=Path("/")))

    assert all(Path(file).is_relative_to(environment) for file in files), files


def test_the_command_runs_from_another_directory(environment) -> None:
    assert "0.1.0" in aurora(environment, "--version")


def test_its_content_is_complete(environment) -> None:
    from aurora.discovery import discover_content

    aurora(environment, "content", "check", "--json")
    program = (
        "from aurora.discovery import discover_content\n"
        "print(sorted((item.kind, item.id) for item in discover_content(plugins=()).items()))"
    )

    installed = run([str(environment / "bin" / "python"), "-c", program], cwd=Path("/"))

    ours = sorted((item.kind, item.id) for item in discover_content(plugins=()).items())
    assert installed.strip() == str(ours)


def test_a_foreign_module_in_our_package_stops_the_start(environment) -> None:
    site = next((environment / "lib").glob("python*/site-packages"))
    foreign = site / "agents" / "agent.py"
    foreign.write_text("class Agent: ...\n", encoding="utf-8")
    try:
        done = subprocess.run(
            [str(environment / "bin" / "aurora"), "content", "check"],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        foreign.unlink()

    assert done.returncode != 0
    assert "another distribution uses the package name" in " ".join((done.stdout + done.stderr).split())
