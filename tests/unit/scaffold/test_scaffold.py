"""What `aurora new` writes, where, and what it refuses."""

from __future__ import annotations

import ast
import keyword
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.discovery import discover_content
from aurora.kernel.errors import Conflict, InputError
from aurora.scaffold.home import find_home
from aurora.scaffold.names import checked_name, checked_plugin
from aurora.scaffold.plans import plan_agent, plan_graph, plan_plugin, plan_tool
from aurora.scaffold.writing import write
from tests.command import aurora


@pytest.fixture
def project(tmp_path) -> Path:
    """An empty plugin project."""
    write(plan_plugin(tmp_path, checked_plugin("desk-soc"), empty=True))
    return tmp_path / "desk-soc"


@pytest.fixture
def house(tmp_path) -> Path:
    """A source tree like Aurora's own."""
    for name in ("aurora", "agents", "graphs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


class TestNames:
    def test_one_name_has_the_spellings_that_code_needs(self) -> None:
        name = checked_name("mail-watch_2")

        spelled = (name.module, name.constant, name.camel, name.title)
        assert spelled == ("mail_watch_2", "MAIL_WATCH_2", "MailWatch2", "Mail watch 2")

    @pytest.mark.parametrize(
        "text", ["", "Mail", "1mail", "mail watch", "mail/../x", "mail.watch", "-mail", "mail-", "class", "tools", "é"]
    )
    def test_what_cannot_be_a_name_is_refused_with_what_can(self, text) -> None:
        with pytest.raises(InputError, match=r"cannot be a name: (use lower-case words|it means something)"):
            checked_name(text)

    @given(st.text(max_size=60) | st.from_regex(r"[a-z0-9_-]{1,50}", fullmatch=True))
    def test_whatever_is_let_through_is_a_python_name_and_stays_in_its_folder(self, text) -> None:
        try:
            name = checked_name(text)
        except InputError:
            return

        assert name.module.isidentifier()
        assert not keyword.iskeyword(name.module)
        assert (Path("agents") / f"{name.module}.py").parts == ("agents", f"{name.module}.py")

    @pytest.mark.parametrize("text", ["json", "aurora", "agents", "pytest"])
    def test_a_plugin_takes_no_package_that_can_be_imported_already(self, text) -> None:
        with pytest.raises(InputError, match=f"the package name '{text}' is taken: choose another, such as"):
            checked_plugin(text)


class TestHome:
    def test_the_project_around_is_found_from_any_of_its_folders(self, project) -> None:
        home = find_home(None, start=project / "desk_soc" / "agents")

        assert (home.folder, home.package, home.root) == (project / "desk_soc", "desk_soc", project)
        assert home.test("graphs", "x") == project / "tests" / "test_x.py"

    def test_a_package_below_src_is_found(self, project) -> None:
        (project / "src").mkdir()
        (project / "desk_soc").rename(project / "src" / "desk_soc")

        assert find_home(None, start=project).folder == project / "src" / "desk_soc"

    def test_a_package_that_is_named_is_taken_with_its_full_name(self, project) -> None:
        inner = project / "desk_soc" / "mail"
        inner.mkdir()
        (inner / "__init__.py").touch()

        home = find_home(inner, start=Path("/"))

        assert (home.package, home.root) == ("desk_soc.mail", project)

    def test_aurora_itself_keeps_its_content_at_the_top(self, house) -> None:
        home = find_home(None, start=house)

        assert (home.folder, home.prefix) == (house, "")
        assert home.test("agents", "x") == house / "tests" / "unit" / "agents" / "test_x.py"

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[project]\nname = 'x'\n", "has no entry point in the group 'aurora.content'"),
            ("[project.entry-points.'aurora.content']\na = 'a_soc'\nb = 'b_soc'\n", "has more than one entry point"),
            ("[project.entry-points.'aurora.content']\na = 'gone'\n", "names the package 'gone', which is not there"),
            ("[project", "cannot be read"),
        ],
    )
    def test_a_project_that_is_no_plugin_is_refused_with_what_to_do(self, tmp_path, text, told) -> None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")

        with pytest.raises(InputError, match=told):
            find_home(None, start=tmp_path)

    def test_a_folder_that_is_no_package_is_refused(self, tmp_path) -> None:
        with pytest.raises(InputError, match=r"is no package: it has no __init__\.py; make a plugin with"):
            find_home(tmp_path, start=tmp_path)
        with pytest.raises(InputError, match="is no folder"):
            find_home(tmp_path / "gone", start=tmp_path)


class TestPlans:
    def test_every_slot_is_filled_and_every_file_is_python(self, project, house) -> None:
        for home in (find_home(None, start=project), find_home(None, start=house)):
            plan = {
                **plan_tool(home, checked_name("asset-owner")),
                **plan_agent(home, checked_name("reader"), tools=("asset_owner", "technique")),
                **plan_graph(home, checked_name("mail-watch")),
            }

            assert not [path for path, text in plan.items() if "{{" in text or "}}" in text]
            for path, text in plan.items():
                if path.suffix == ".py":
                    ast.parse(text)

    def test_content_of_the_house_imports_from_the_top(self, house) -> None:
        plan = plan_graph(find_home(None, start=house), checked_name("mail-watch"))

        graph = plan[house / "graphs" / "mail_watch.py"]
        assert "from agents.mail_watch import MAIL_WATCH as MAIL_WATCH_AGENT\n" in graph
        assert "open_runtime()" in plan[house / "tests" / "unit" / "graphs" / "test_mail_watch_graph.py"]

    def test_a_graph_of_an_agent_that_is_not_there_is_refused(self, project) -> None:
        with pytest.raises(InputError, match="there is no agent 'gone' in .*: `aurora new agent gone`"):
            plan_graph(find_home(None, start=project), checked_name("watch"), agent=checked_name("gone"))

    def test_what_is_there_already_is_not_touched_and_nothing_else_is_written(self, project) -> None:
        home = find_home(None, start=project)
        taken = home.folder / "agents" / "prompts" / "reader.md"
        taken.parent.mkdir()
        taken.write_text("mine", encoding="utf-8")

        with pytest.raises(Conflict, match=r"reader\.md is there already, so nothing was written"):
            write(plan_agent(home, checked_name("reader")))

        assert taken.read_text(encoding="utf-8") == "mine"
        assert not (home.folder / "agents" / "reader.py").exists()

    def test_what_was_written_before_a_fault_is_removed_again(self, project) -> None:
        home = find_home(None, start=project)
        (project / "tests").write_text("a file where a folder should be", encoding="utf-8")

        with pytest.raises(InputError, match="nothing was written"):
            write(plan_tool(home, checked_name("owner")))

        assert not (home.folder / "agents" / "tools" / "owner.py").exists()


class TestCommand:
    @pytest.fixture(autouse=True)
    def _inside(self, project, monkeypatch) -> None:
        monkeypatch.chdir(project)

    def test_it_says_what_was_written_and_what_to_do_next(self) -> None:
        result = aurora("new", "tool", "asset-owner")

        assert result.status == 0
        assert result.out.splitlines() == [
            "wrote desk_soc/agents/tools/asset_owner.py",
            "wrote tests/test_asset_owner_tool.py",
            "",
            "Next",
            "  replace what it looks up: desk_soc/agents/tools/asset_owner.py",
            '  let an agent call it: tools=("asset_owner",)',
            "  pytest -k asset_owner",
        ]

    def test_a_plugin_is_installed_with_what_its_tests_need(self, tmp_path) -> None:
        result = aurora("new", "plugin", "acme-soc", "--into", tmp_path)

        assert f"  pip install -e '{tmp_path}/acme-soc[test]'" in result.out.splitlines()
        assert 'test = ["pytest' in (tmp_path / "acme-soc" / "pyproject.toml").read_text(encoding="utf-8")

    def test_a_second_time_is_refused(self, project) -> None:
        aurora("new", "agent", "reader")
        before = (project / "desk_soc" / "agents" / "reader.py").stat().st_mtime_ns

        again = aurora("new", "agent", "reader")

        assert again.status == 1
        assert "reader.py is there already, so nothing was written" in again.err
        assert (project / "desk_soc" / "agents" / "reader.py").stat().st_mtime_ns == before

    @pytest.mark.parametrize(
        ("kind", "name", "told"),
        [("tool", "technique", "a tool"), ("agent", "triage", "an agent"), ("graph", "triage", "a graph")],
    )
    def test_an_id_that_aurora_has_already_is_refused(self, kind, name, told) -> None:
        result = aurora("new", kind, name)

        assert result.status == 1
        assert f"there is {told} '{name}' already, in " in result.err

    def test_a_tool_that_is_not_there_is_told_before_discovery_refuses_everything(self, project) -> None:
        result = aurora("new", "agent", "reader", "--tool", "nosuch")

        assert result.status == 2
        assert "there is no tool 'nosuch': write it first, with `aurora new tool nosuch`" in result.err
        assert not (project / "desk_soc" / "agents" / "reader.py").exists()

    def test_a_bad_name_is_wrong_usage(self) -> None:
        result = aurora("new", "plugin", "../escape")

        assert result.status == 2
        assert "'../escape' cannot be a name" in result.err

    @pytest.mark.slow
    def test_everything_it_writes_works_together_as_written(self, project) -> None:
        for command in (
            ("tool", "asset-owner"),
            ("agent", "reader", "--tool", "asset_owner", "--tool", "technique"),
            ("graph", "watch", "--agent", "reader"),
            ("graph", "mail"),
        ):
            assert aurora("new", *command).status == 0, command

        tests = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
            capture_output=True,
            text=True,
            check=False,
            cwd=project,
        )

        assert "13 passed" in tests.stdout, tests.stdout

    def test_what_it_writes_is_content_that_discovery_takes(self, project, monkeypatch) -> None:
        monkeypatch.syspath_prepend(project)
        aurora("new", "tool", "asset-owner")
        aurora("new", "agent", "reader", "--tool", "asset_owner")
        aurora("new", "graph", "watch", "--agent", "reader")

        before = set(sys.modules)
        try:
            content = discover_content(packages=("desk_soc",), plugins=())
        finally:
            for name in set(sys.modules) - before:
                if name.startswith("desk_soc"):
                    del sys.modules[name]

        assert [(each.kind, each.id) for each in content.items()] == [
            ("graph", "watch"),
            ("agent", "reader"),
            ("tool", "asset_owner"),
        ]
