"""A plugin as others write it: from the scaffold to a wheel, installed, refused, trusted, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXT = "text=URGENT: your password expires today"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A plugin project, as `aurora new plugin acme-soc` writes it."""
    folder = tmp_path_factory.mktemp("projects")
    run("-c", "from aurora.cli.main import main; main()", "new", "plugin", "acme-soc", cwd=folder)
    return folder / "acme-soc"


@pytest.fixture(scope="module")
def wheel(project) -> Path:
    """Its wheel, built by the installed backend: nothing is fetched."""
    folder = project.parent / "wheels"
    build = ["-m", "pip", "wheel", str(project), "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    run(*build, "--wheel-dir", str(folder), cwd=folder.parent)
    return next(folder.glob("acme_soc-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder on the path that holds the wheel, and nothing of the project."""
    folder = tmp_path_factory.mktemp("installed")
    install = ["-m", "pip", "install", "--target", str(folder), "--no-index", "--no-deps", "--quiet"]
    run(*install, str(wheel), cwd=folder)
    return folder


@pytest.fixture
def desk(tmp_path) -> Path:
    """The folder that somebody works in; it trusts the plugin."""
    (tmp_path / "aurora.toml").write_text('[content]\ntrusted_plugins = ["acme-soc"]\n', encoding="utf-8")
    return tmp_path


def run(*arguments: str, cwd: Path, path: str = "", status: int = 0) -> tuple[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AURORA_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)]))},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def aurora(installed: Path, *arguments: str, cwd: Path, status: int = 0) -> tuple[str, str]:
    return run(
        "-c", "from aurora.cli.main import main; main()", *arguments, cwd=cwd, path=str(installed), status=status
    )


def test_what_the_scaffold_wrote_passes_its_own_tests(project) -> None:
    out, _ = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)

    assert "8 passed" in out


def test_the_wheel_holds_the_content_and_its_prompt_but_no_test(wheel) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert {
        "acme_soc/agents/acme_soc.py",
        "acme_soc/agents/prompts/acme_soc.md",
        "acme_soc/agents/tools/acme_soc_hosts.py",
        "acme_soc/graphs/acme_soc.py",
    } <= inside
    assert all(name.startswith("acme_soc/") for name in inside)


def test_it_is_refused_until_it_is_trusted(installed, tmp_path) -> None:
    listed, _ = aurora(installed, "content", "list", cwd=tmp_path)
    _, complaint = aurora(
        installed, "run", "acme-soc", TEXT, "--db", f"sqlite:///{tmp_path}/a.db", cwd=tmp_path, status=1
    )

    assert "installed, but not trusted: plugin acme-soc of acme-soc" in " ".join(listed.split())
    assert "acme_soc" not in listed
    assert "Installed, but not trusted: acme-soc; to use one, name it in content.trusted_plugins" in complaint


def test_it_is_listed_and_shown_once_it_is_trusted(installed, desk) -> None:
    listed, _ = aurora(installed, "content", "list", "--json", cwd=desk)
    agent, _ = aurora(installed, "content", "show", "acme-soc", "--kind", "agent", "--json", cwd=desk)

    items = [json.loads(line) for line in listed.splitlines()]
    theirs = {(each["kind"], each["id"]): each["file"] for each in items if each["origin"] == "acme-soc"}
    assert set(theirs) == {("agent", "acme-soc"), ("graph", "acme-soc"), ("tool", "acme_soc_hosts")}
    assert all(Path(file).is_relative_to(installed) for file in theirs.values()), "from the wheel, not the project"
    assert json.loads(agent)["tools"] == [{"id": "acme_soc_hosts", "title": "Acme soc hosts"}]
    assert json.loads(agent)["prompt"].startswith("acme-soc@1#")
    assert "no fault" in aurora(installed, "content", "check", cwd=desk)[0]


def test_its_graph_runs_durably(installed, desk) -> None:
    command = ["run", "acme-soc", TEXT, "--key", "mail-1", "--json", "--db", f"sqlite:///{desk}/a.db"]

    first = json.loads(aurora(installed, *command, cwd=desk)[0])
    again = json.loads(aurora(installed, *command, cwd=desk)[0])

    assert first["outcome"] == "suspicious"
    assert first["state"]["reason"] == "found: password, urgent"
    assert again == first


def test_a_plugin_with_a_fault_stops_everything_and_names_the_file(installed, desk) -> None:
    file = installed / "acme_soc" / "agents" / "broken.py"
    file.write_text("import package_that_is_not_there\n", encoding="utf-8")
    try:
        _, complaint = aurora(installed, "content", "check", cwd=desk, status=1)
        _, refused = aurora(installed, "run", "triage", "--db", f"sqlite:///{desk}/a.db", cwd=desk, status=2)
    finally:
        file.unlink()

    assert f"{file}: ModuleNotFoundError" in complaint
    assert f"{file}: ModuleNotFoundError" in refused
