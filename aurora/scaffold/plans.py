"""What is written for each kind of content: paths and texts, nothing on disk yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from aurora.kernel.errors import InputError
from aurora.scaffold.home import Home
from aurora.scaffold.names import Name

Plan = dict[Path, str]
"""Texts of new files by their path."""

_SLOT = re.compile(r"\{\{(\w+)\}\}")


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its slots, `{{name}}`, filled."""
    text = (files("aurora.scaffold") / "templates" / f"{template}.tmpl").read_text(encoding="utf-8")
    return _SLOT.sub(lambda slot: values[slot[1]], text)


def plan_tool(home: Home, name: Name) -> Plan:
    """Return a tool and its test. Models call it by its id, so that has '_' only."""
    values = _values(home, name) | {"id": name.module}
    return {
        home.folder / "agents" / "tools" / f"{name.module}.py": filled("tool.py", values),
        home.test("agents", f"{name.module}_tool"): filled("tool_test.py", values),
        **_packages(home, "agents", "agents/tools"),
    }


def plan_agent(home: Home, name: Name, *, tools: Sequence[str] = ()) -> Plan:
    """Return an agent, its prompt and its test."""
    listed = ", ".join(f'"{tool}"' for tool in tools) + ("," if len(tools) == 1 else "")
    values = _values(home, name) | {"tools": listed}
    return {
        home.folder / "agents" / f"{name.module}.py": filled("agent.py", values),
        home.folder / "agents" / "prompts" / f"{name.module}.md": filled("prompt.md", values),
        home.test("agents", f"{name.module}_agent"): filled("agent_test.py", values),
        **_packages(home, "agents"),
    }


def plan_graph(home: Home, name: Name, *, agent: Name | None = None, tools: Sequence[str] = ()) -> Plan:
    """Return a graph and its test, and the agent that it asks unless that is there already.

    Raises:
        InputError: the agent that it is to ask is not there.
    """
    if agent is not None and not (home.folder / "agents" / f"{agent.module}.py").is_file():
        raise InputError(f"there is no agent {agent.id!r} in {home.folder / 'agents'}: `aurora new agent {agent.id}`")
    asked = agent or name
    values = _values(home, name) | {"agent_module": asked.module, "agent_constant": asked.constant}
    if asked.constant == name.constant:  # the graph has that name, too
        values |= {"agent_constant": f"{name.constant}_AGENT"}
    graph = filled("graph.py", values).replace(
        f"import {name.constant}_AGENT\n", f"import {name.constant} as {name.constant}_AGENT\n"
    )
    return {
        **({} if agent else plan_agent(home, name, tools=tools)),
        home.folder / "graphs" / f"{name.module}.py": graph,
        home.test("graphs", f"{name.module}_graph"): filled("graph_test.py", values),
        **_packages(home, "graphs"),
    }


def plan_plugin(parent: Path, name: Name, *, empty: bool = False) -> Plan:
    """Return a whole project: one tool, one agent that may call it, one graph that asks the agent.

    Args:
        parent: Where its folder is made.
        name: Of distribution, plugin and package, and of what is in it.
        empty: Only the project and its folders, for those who bring their own content.
    """
    root = parent / name.id
    home = Home(folder=root / name.module, package=name.module, root=root)
    tool = Name(f"{name.module}_hosts")
    values = {"name": name.id, "package": name.module}
    return {
        root / "pyproject.toml": filled("pyproject.toml", values),
        root / "README.md": filled("README_empty.md" if empty else "README.md", values),
        root / ".gitignore": filled("gitignore", values),
        home.folder / "__init__.py": f'"""Content of the plugin {name.id}."""\n',
        **_packages(home, "agents", "agents/tools", "graphs"),
        **({} if empty else plan_tool(home, tool)),
        **({} if empty else plan_graph(home, name, tools=(tool.module,))),
    }


def _values(home: Home, name: Name) -> dict[str, str]:
    alone = f'packages=["{home.package}"]' if home.package else ""
    return {
        "id": name.id,
        "module": name.module,
        "constant": name.constant,
        "class": name.camel,
        "title": name.title,
        "prefix": home.prefix,
        "packages_alone": alone,
        "packages": f", {alone}" if alone else "",
    }


def _packages(home: Home, *folders: str) -> Plan:
    """Return the `__init__.py` of folders that have none yet: without one, discovery finds nothing in them."""
    texts = {
        "agents": '"""Who thinks: one file an agent."""\n',
        "agents/tools": '"""What agents may look up: one file a tool."""\n',
        "graphs": '"""How agents work together: one file a graph."""\n',
    }
    wanted = {home.folder / folder / "__init__.py": texts[folder] for folder in folders}
    return {path: text for path, text in wanted.items() if not path.exists()}
