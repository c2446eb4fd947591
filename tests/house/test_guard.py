"""The start-up guard against packages of the same name, on trees that imitate real clashes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from aurora.guard import PACKAGES, check_installation
from aurora.kernel.errors import InstallationClash

ROOT = Path(__file__).parents[2]
OPENAI_AGENTS = 'from .agent import Agent\n\n__all__ = ["Agent"]\n'


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path):
    """A site-packages folder as our wheel would leave it: four marked packages and a RECORD."""
    site = tmp_path / "site"
    files = {f"{name}/__init__.py": 'AURORA_PACKAGE = "aurora-soc"\n' for name in PACKAGES}
    files["agents/rules/lolbin.py"] = "RULE = 1\n"
    write(site, files)
    record = "".join(f"{name},sha256=x,1\n" for name in files)
    write(site, {"aurora_soc-0.1.0.dist-info/RECORD": record + "aurora_soc-0.1.0.dist-info/RECORD,,\n"})
    return site


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Run the guard in this process, with the packages of the given folders, first one first."""

    def check(*folders: Path) -> None:
        for name in [each for each in sys.modules if each.partition(".")[0] in PACKAGES]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "path", [str(folder) for folder in folders])
        monkeypatch.setattr(sys, "meta_path", [each for each in sys.meta_path if "editable" not in repr(each)])
        check_installation()

    return check


def test_our_own_tree_passes_in_ten_milliseconds() -> None:
    check_installation()

    begin = time.process_time()
    check_installation()

    assert time.process_time() - begin < 0.010


def test_an_installed_wheel_passes(check, site) -> None:
    check(site)


def test_nothing_is_imported(site) -> None:
    program = (
        "import sys; from aurora.guard import check_installation; check_installation();"
        "print(sorted({'agents', 'graphs', 'memory'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_namesake_earlier_on_the_path_is_refused(check, site, tmp_path) -> None:
    write(tmp_path / "other", {"agents/__init__.py": OPENAI_AGENTS, "agents/agent.py": "raise RuntimeError\n"})

    with pytest.raises(InstallationClash, match="'agents'.*other.*virtual environment of its own"):
        check(tmp_path / "other", site)


def test_a_namesake_that_overwrote_our_files_is_refused(check, site) -> None:
    write(site, {"agents/__init__.py": OPENAI_AGENTS, "agents/agent.py": "raise RuntimeError\n"})

    with pytest.raises(InstallationClash, match="'agents'.*is not Aurora's"):
        check(site)


def test_a_namesake_that_we_overwrote_leaves_modules_which_are_refused(check, site) -> None:
    write(site, {"agents/agent.py": "raise RuntimeError\n"})

    with pytest.raises(InstallationClash, match=r"agents.agent\.py was not installed by Aurora"):
        check(site)


def test_compiled_leftovers_are_refused_and_caches_are_not(check, site) -> None:
    write(site, {"graphs/__pycache__/old.cpython-311.pyc": "", "agents/prompts/triage.md": "data is no module"})
    check(site)

    write(site, {"memory/fast.cpython-311-x86_64-linux-gnu.so": ""})

    with pytest.raises(InstallationClash, match="memory"):
        check(site)


def test_a_single_module_of_the_name_is_refused(check, site, tmp_path) -> None:
    write(tmp_path / "script", {"memory.py": "x = 1\n"})

    with pytest.raises(InstallationClash, match="'memory'"):
        check(tmp_path / "script", site)


def test_a_folder_without_init_is_refused(check, site) -> None:
    (site / "graphs" / "__init__.py").unlink()

    with pytest.raises(InstallationClash, match="'graphs'"):
        check(site)


def test_a_missing_package_is_told(check, site) -> None:
    (site / "graphs" / "__init__.py").rename(site / "gone.py")
    (site / "graphs").rmdir()

    with pytest.raises(InstallationClash, match="'graphs' of Aurora cannot be found"):
        check(site)


def test_a_marker_in_a_comment_is_no_marker(check, site) -> None:
    write(site, {"memory/__init__.py": '# AURORA_PACKAGE = "aurora-soc"\n'})

    with pytest.raises(InstallationClash, match="'memory'"):
        check(site)


def test_an_editable_install_is_not_compared_with_its_record(check, site) -> None:
    write(site, {"aurora_soc-0.1.0.dist-info/RECORD": "_aurora_soc.pth,,\n", "agents/new_rule.py": "x = 1\n"})

    check(site)
