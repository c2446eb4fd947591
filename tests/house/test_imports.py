"""Who may import whom: the contracts of pyproject.toml hold, and each of them can break."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

BROKEN = [
    ("memory/bad.py", "from aurora.storage import base", "memory imports only aurora.kernel"),
    ("memory/bad.py", "import aurora.sdk", "memory imports only aurora.kernel"),
    ("agents/bad.py", "import graphs", "agents import aurora.sdk and aurora.kernel, never graphs or memory"),
    ("agents/bad.py", "import aurora.storage", "agents import aurora.sdk and aurora.kernel, never graphs or memory"),
    ("graphs/bad.py", "import aurora.storage", "graphs may import agents, aurora.sdk and aurora.kernel"),
    ("graphs/bad.py", "import memory", "graphs may import agents, aurora.sdk and aurora.kernel"),
    ("aurora/cli/bad.py", "import agents", "aurora imports neither agents nor graphs: discovery finds them"),
    ("aurora/cli/bad.py", "import memory", "only bootstrap and the migration environment import memory"),
    ("aurora/kernel/bad.py", "import aurora.sdk", "aurora.kernel imports nothing else of aurora"),
    ("aurora/sdk/bad.py", "import aurora.storage", "aurora.sdk imports only aurora.kernel"),
    ("aurora/__init__.py", "import aurora.kernel", "importing aurora does nothing"),
]

ALLOWED = {
    "memory/good.py": "import aurora.kernel.base",
    "agents/good.py": "import aurora.kernel.base\nimport aurora.sdk",
    "graphs/good.py": "import agents.good\nimport aurora.sdk\nimport aurora.kernel",
    "aurora/sdk/good.py": "import aurora.kernel.base",
    "aurora/bootstrap.py": "import memory.good\nimport aurora.storage.base",
    "aurora/storage/migrations/env.py": "import memory",
    "aurora/cli/good.py": "import aurora.bootstrap",
}


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def house(tmp_path):
    """A house in small, with our contracts, in which everything that is allowed happens."""
    packages = ["aurora", *(f"aurora/{each}" for each in ("kernel", "sdk", "storage", "storage/migrations", "cli"))]
    for package in [*packages, "agents", "graphs", "memory"]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "base.py").touch()
    for name, source in ALLOWED.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    contracts = re.search(r"^\[tool\.importlinter\].*?(?=^# ---)", CONFIG, flags=re.DOTALL | re.MULTILINE)
    assert contracts is not None
    (tmp_path / "pyproject.toml").write_text(contracts[0], encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_code_keeps_the_contracts() -> None:
    code, output = lint(ROOT)

    assert code == 0, output


@pytest.mark.slow
def test_what_is_allowed_breaks_no_contract(house) -> None:
    code, output = lint(house)

    assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize(("file", "source", "contract"), BROKEN)
def test_a_contract_breaks(house, file, source, contract) -> None:
    (house / file).write_text(source, encoding="utf-8")

    code, output = lint(house)

    assert code != 0
    assert f"{contract} BROKEN" in output


def test_importing_aurora_imports_nothing_at_all() -> None:
    tree = ast.parse((ROOT / "aurora" / "__init__.py").read_text(encoding="utf-8"))

    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
