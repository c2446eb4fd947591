"""Discovery: what is found, in which order, and that nothing wrong is passed over."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from aurora.discovery import PLUGIN_GROUP, Content, discover_content
from aurora.kernel.errors import ContentInvalid

RULE = '''
from aurora.sdk import rule

@rule(id="{id}", version="1", title="{id}")
def {name}(view):
    """Weighs something, because of a source."""
    return None
'''
GRAPH = """
from aurora.sdk import GraphSpec

triage = GraphSpec(
    id="triage", version="1.2", title="Triage", description="From alert to verdict.",
    build=lambda: None, state=dict, nodes=("load", "record"),
)
"""
AGENT = """
from pydantic import BaseModel

from aurora.sdk import AgentSpec

analyst = AgentSpec(id="analyst", version="1", title="Analyst", prompt="prompts/gone.md", answer=BaseModel)
"""


def rule(id_: str, name: str = "weigh") -> str:
    return RULE.format(id=id_, name=name)


def graph(version: str) -> str:
    return GRAPH.replace("1.2", version)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Write modules below a fresh folder on the path; packages get their `__init__.py`."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def tree(files: dict[str, str], *, packages: bool = True) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            folders = [each for each in path.parents if tmp_path in each.parents] if packages else []
            for folder in folders:
                (folder / "__init__.py").touch()
        return tmp_path

    yield tree
    for name in set(sys.modules) - before:
        del sys.modules[name]


def discover(*packages: str, **options) -> Content:
    return discover_content(packages=packages, **{"plugins": (), **options})


def plugin(name: str, package: str) -> EntryPoint:
    return EntryPoint(name=name, value=package, group=PLUGIN_GROUP)


class TestFinding:
    def test_every_folder_is_walked_and_content_is_in_id_order(self, tree) -> None:
        root = tree(
            {
                "house/rules/b.py": rule("beta"),
                "house/rules/deep/a.py": rule("alpha"),
                "house/triage.py": GRAPH,
                "house/nodes/load.py": "def load(state):\n    return {}\n",
            }
        )

        content = discover("house")

        assert list(content.rules) == ["alpha", "beta"]
        assert content.graphs["triage"].nodes == ("load", "record")
        assert [(item.kind, item.id, item.version, item.risk, item.origin) for item in content.items()] == [
            ("graph", "triage", "1.2", "T0", "aurora"),
            ("rule", "alpha", "1", "T0", "aurora"),
            ("rule", "beta", "1", "T0", "aurora"),
        ]
        assert content.rules["alpha"].file == str(root / "house/rules/deep/a.py")

    def test_a_rule_keeps_its_function_and_its_text(self, tree) -> None:
        tree({"house/a.py": rule("alpha")})

        found = discover("house").rules["alpha"]

        assert found.function(None) is None
        assert found.doc == "Weighs something, because of a source."

    def test_a_spec_that_others_import_is_found_once(self, tree) -> None:
        root = tree({"house/a.py": "from house.z import weigh\n", "house/z.py": rule("alpha")})
        (root / "house/__init__.py").write_text("from house.z import weigh\n", encoding="utf-8")

        assert discover("house").rules["alpha"].file.endswith("z.py")

    def test_specs_in_a_list_are_found(self, tree) -> None:
        tree({"house/a.py": rule("alpha") + "\nRULES = [weigh]\ndel weigh\n"})

        assert list(discover("house").rules) == ["alpha"]

    def test_what_was_found_cannot_be_changed(self, tree) -> None:
        tree({"house/a.py": rule("alpha")})

        with pytest.raises(TypeError):
            discover("house").rules["beta"] = None

    def test_the_content_of_aurora_itself_loads(self) -> None:
        content = discover_content(plugins=())

        assert all(item.origin == "aurora" for item in content.items())


class TestFailingClosed:
    def test_all_faults_of_all_files_are_told(self, tree) -> None:
        root = tree(
            {
                "house/a.py": "import package_that_is_not_there\n",
                "house/b.py": "def broken(:\n",
                "house/c.py": "raise SystemExit(3)\n",
                "house/d.py": rule("Not An Id"),
                "house/e.py": rule("twice"),
                "house/f.py": rule("twice"),
            }
        )

        with pytest.raises(ContentInvalid) as caught:
            discover("house")

        lines = str(caught.value).splitlines()
        assert caught.value.context == {"faults": 5}
        assert lines[1:4] == [
            f"- {root}/house/a.py: ModuleNotFoundError: No module named 'package_that_is_not_there'",
            f"- {root}/house/b.py: SyntaxError: invalid syntax (b.py, line 1)",
            f"- {root}/house/c.py: SystemExit: 3",
        ]
        assert lines[4].startswith(f"- {root}/house/d.py: rule 'Not An Id': id ")
        assert lines[5] == f"- rule 'twice' is defined more than once: {root}/house/e.py, {root}/house/f.py"

    def test_the_same_id_in_two_kinds_is_no_duplicate(self, tree) -> None:
        tree({"house/a.py": rule("triage"), "house/b.py": GRAPH})

        assert len(discover("house").items()) == 2

    def test_a_folder_without_init_is_told_instead_of_passed_over(self, tree) -> None:
        tree({"house/__init__.py": "", "house/rules/a.py": rule("alpha")}, packages=False)

        with pytest.raises(ContentInvalid, match=r"house.rules: has modules, but no __init__\.py"):
            discover("house")

    @pytest.mark.parametrize(
        ("source", "fault"),
        [
            (rule("alpha").replace('version="1"', 'version="new"'), "version 'new' must be"),
            (rule("alpha").replace('version="1"', "version=1"), "version 1 must be"),
            (rule("alpha").replace('title="alpha"', 'title=" "'), "title must be one line"),
            (rule("alpha").replace('"""Weighs something, because of a source."""', ""), "has no docstring"),
            (GRAPH.replace('("load", "record")', '("load", "load")'), "nodes must be named, once each"),
            (
                AGENT,
                "prompt .*prompts/gone.md does not exist",
            ),
        ],
    )
    def test_an_invalid_spec_is_told_with_its_file(self, tree, source, fault) -> None:
        tree({"house/a.py": source})

        with pytest.raises(ContentInvalid, match=f"house.a.py: .*{fault}"):
            discover("house")

    def test_the_import_error_is_the_cause(self, tree) -> None:
        tree({"house/a.py": "1 / 0\n"})

        with pytest.raises(ContentInvalid) as caught:
            discover("house")

        assert isinstance(caught.value.__cause__, ZeroDivisionError)


class TestVersions:
    """Graphs, and only they, are kept in several versions: runs that began with one go on with it."""

    def test_the_newest_is_the_graph_and_all_can_be_had(self, tree) -> None:
        root = tree({"house/a.py": graph("1.2"), "house/b.py": graph("1.10"), "house/c.py": graph("1")})

        content = discover("house")

        assert content.graphs["triage"].version == "1.10"
        assert list(content.graph_versions["triage"]) == ["1.10", "1.2", "1"]
        assert content.graph_versions["triage"]["1.2"].file == str(root / "house/a.py")
        assert [(each.version, each.file[-4:], each.origin) for each in content.items()] == [
            ("1.10", "b.py", "aurora"),
            ("1.2", "a.py", "aurora"),
            ("1", "c.py", "aurora"),
        ]

    @pytest.mark.parametrize("version", ["1.2", "1.2.0"])
    def test_one_version_twice_is_a_fault(self, tree, version) -> None:
        tree({"house/a.py": graph("1.2"), "house/b.py": graph(version)})

        with pytest.raises(ContentInvalid, match="the same version of graph 'triage' is defined more than once"):
            discover("house")

    def test_other_content_has_one_version(self, tree) -> None:
        tree({"house/a.py": rule("alpha"), "house/b.py": rule("alpha").replace('version="1"', 'version="2"')})

        with pytest.raises(ContentInvalid, match="rule 'alpha' is defined more than once"):
            discover("house")

    def test_a_plugin_may_keep_an_older_version_of_a_graph_of_aurora(self, tree) -> None:
        tree({"house/a.py": graph("2"), "acme_soc/graphs/a.py": graph("1")})

        content = discover("house", plugins=[plugin("acme", "acme_soc")], trusted_plugins=("acme",))

        assert content.graphs["triage"].version == "2"
        assert [(each.version, each.origin) for each in content.items()] == [("2", "aurora"), ("1", "acme")]

    def test_a_plugin_may_not_take_a_graph_over_with_a_newer_version(self, tree) -> None:
        tree({"house/a.py": graph("2"), "acme_soc/graphs/a.py": graph("3")})

        with pytest.raises(ContentInvalid, match="plugin 'acme' has a newer version of it than aurora"):
            discover("house", plugins=[plugin("acme", "acme_soc")], trusted_plugins=("acme",))

    def test_two_plugins_may_not_share_a_graph(self, tree) -> None:
        tree({"acme_soc/graphs/a.py": graph("1"), "evil_soc/graphs/a.py": graph("2")})

        with pytest.raises(ContentInvalid, match="plugin 'evil' has a newer version of it than acme"):
            discover(plugins=[plugin("acme", "acme_soc"), plugin("evil", "evil_soc")], trusted_plugins=("acme", "evil"))

    def test_a_migration_that_names_a_strange_node_is_told_with_its_file(self, tree) -> None:
        step = 'migrations=(Migration(from_version="1", state=dict, after={"load": "gone"}),),\n)'
        source = graph("2").replace("import GraphSpec", "import GraphSpec, Migration").replace("\n)", f" {step}")
        tree({"house/a.py": source})

        with pytest.raises(ContentInvalid, match="house.a.py: graph 'triage': .*no node of this version: gone"):
            discover("house")


class TestPlugins:
    def test_a_trusted_plugin_adds_its_content(self, tree) -> None:
        tree({"acme_soc/agents/rules/a.py": rule("acme.alpha"), "acme_soc/graphs/g.py": GRAPH})

        content = discover(plugins=[plugin("acme", "acme_soc")], trusted_plugins=("acme",))

        assert [(item.id, item.origin) for item in content.items()] == [("triage", "acme"), ("acme.alpha", "acme")]
        assert content.untrusted == ()

    def test_an_untrusted_plugin_is_listed_and_never_imported(self, tree) -> None:
        tree({"acme_soc/agents/a.py": rule("acme.alpha")})

        content = discover(plugins=[plugin("acme", "acme_soc")])

        assert [(each.name, each.package) for each in content.untrusted] == [("acme", "acme_soc")]
        assert content.items() == ()
        assert "acme_soc" not in sys.modules

    def test_an_installed_plugin_is_found_by_its_entry_point(self, tree) -> None:
        root = tree({"acme_soc/agents/a.py": rule("acme.alpha")})
        metadata = root / "acme_soc-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-soc\nVersion: 1.0\n", encoding="utf-8")
        (metadata / "entry_points.txt").write_text(f"[{PLUGIN_GROUP}]\nacme = acme_soc\n", encoding="utf-8")

        trusted = discover(plugins=None, trusted_plugins=("acme",))
        untrusted = discover(plugins=None)

        assert list(trusted.rules) == ["acme.alpha"]
        assert untrusted.untrusted[0].distribution == "acme-soc"

    @pytest.mark.parametrize(
        ("installed", "fault"),
        [
            ([], "plugin 'acme': trusted, but not installed"),
            ([plugin("acme", "acme_gone")], "acme_gone: ModuleNotFoundError"),
            ([plugin("acme", "acme_soc")], "acme_soc has none of the folders agents, graphs"),
            ([plugin("acme", "acme_soc"), plugin("acme", "evil_soc")], "more than one distribution offers it"),
        ],
    )
    def test_a_trusted_plugin_that_cannot_be_used_is_a_fault(self, tree, installed, fault) -> None:
        tree({"acme_soc/other.py": ""})

        with pytest.raises(ContentInvalid, match=fault):
            discover(plugins=installed, trusted_plugins=("acme",))

    def test_a_plugin_may_not_take_an_id_of_aurora(self, tree) -> None:
        tree({"house/a.py": rule("alpha"), "acme_soc/agents/a.py": rule("alpha")})

        with pytest.raises(ContentInvalid, match="rule 'alpha' is defined more than once"):
            discover("house", plugins=[plugin("acme", "acme_soc")], trusted_plugins=("acme",))
