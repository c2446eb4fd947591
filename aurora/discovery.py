"""Finds content: walks packages and trusted plugins in name order, and fails closed.

A rule that is silently missing changes verdicts, so nothing is skipped: an import error, an id
used twice or an invalid spec stops the process, and the error names every file at fault.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TypeVar

from aurora.guard import check_installation
from aurora.kernel.errors import ContentInvalid
from aurora.kernel.untrusted import clean
from aurora.sdk.spec import AgentSpec, EnricherSpec, GraphSpec, RuleSpec, Spec, ToolSpec

HOUSE = ("agents", "graphs")
"""Packages of Aurora's own content; a plugin repeats these names below its own."""

PLUGIN_GROUP = "aurora.content"

_OURS = frozenset({"aurora", "given"})
"""Origins whose graphs may stand beside anybody's older versions of them."""

AnySpec = TypeVar("AnySpec", bound=Spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentItem:
    """One line of `aurora content list`."""

    id: str
    kind: str
    version: str
    risk: str
    file: str
    origin: str
    """`aurora` or the name of the plugin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedPlugin:
    """A plugin that is installed but not enabled; none of its code was run."""

    name: str
    package: str
    distribution: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything that was found, by id; iteration is in id order."""

    graphs: Mapping[str, GraphSpec]
    """The newest version of each: what a fresh run begins with."""
    agents: Mapping[str, AgentSpec]
    rules: Mapping[str, RuleSpec]
    enrichers: Mapping[str, EnricherSpec]
    tools: Mapping[str, ToolSpec]
    untrusted: tuple[UntrustedPlugin, ...] = ()
    origins: Mapping[tuple[str, str], str]
    """Name of the plugin, or `aurora`, by kind and id."""
    older: Mapping[tuple[str, str], tuple[GraphSpec, str]] = field(default_factory=dict)
    """Older versions of graphs, which runs that began with them go on with, by id and version; each with its origin."""

    @cached_property
    def graph_versions(self) -> Mapping[str, Mapping[str, GraphSpec]]:
        """All versions of each graph by id and version, the newest first."""
        found: dict[str, dict[str, GraphSpec]] = {}
        for name, newest in self.graphs.items():
            older = [spec for (id_, _), (spec, _) in self.older.items() if id_ == name]
            older.sort(key=lambda each: each.order, reverse=True)
            found[name] = {each.version: each for each in (newest, *older)}
        return MappingProxyType(found)

    def origin_of(self, spec: Spec) -> str:
        """Return the name of the plugin that a spec comes from, or `aurora`."""
        older = self.older.get((spec.id, spec.version)) if isinstance(spec, GraphSpec) else None
        return self.origins[spec.kind, spec.id] if older is None else older[1]

    def items(self) -> tuple[ContentItem, ...]:
        """Return all content for a list, by kind and id; of a graph the newest version first."""
        specs: list[Spec] = [spec for versions in self.graph_versions.values() for spec in versions.values()]
        specs += [spec for group in (self.agents, self.tools, self.rules, self.enrichers) for spec in group.values()]
        return tuple(
            ContentItem(
                id=spec.id,
                kind=spec.kind,
                version=spec.version,
                risk=spec.risk,
                file=spec.file,
                origin=self.origin_of(spec),
            )
            for spec in specs
        )


@dataclass(slots=True)
class _Walk:
    """What one discovery has met so far."""

    found: dict[int, tuple[Spec, str]] = field(default_factory=dict)
    """Specs with their origin, by identity: modules that import a spec from another hold the same object."""
    faults: list[str] = field(default_factory=list)
    cause: BaseException | None = None
    """The first import error, for its traceback."""

    def package(self, name: str, *, origin: str) -> None:
        """Import a module and all below it, in name order, and collect the specs they hold."""
        module = self._import(name)
        if module is None:
            return
        for spec in _held(vars(module).values()):
            self.found.setdefault(id(spec), (spec, origin))
        paths = list(getattr(module, "__path__", ()))
        self.faults += [
            f"{folder}: has modules, but no __init__.py, so none of them is found" for folder in _lost(paths)
        ]
        for child in sorted(pkgutil.iter_modules(paths), key=lambda each: each.name):
            self.package(f"{name}.{child.name}", origin=origin)

    def plugin(self, entry: EntryPoint) -> None:
        """Import a trusted plugin: the folders of the house below its package."""
        package = self._import(entry.module)
        if package is None:
            return
        names = [f"{entry.module}.{folder}" for folder in HOUSE]
        present = [name for name in names if hasattr(package, "__path__") and importlib.util.find_spec(name)]
        if not present:
            self.faults.append(f"plugin '{entry.name}': {entry.module} has none of the folders {', '.join(HOUSE)}")
        for name in present:
            self.package(name, origin=entry.name)

    def _import(self, name: str) -> ModuleType | None:
        try:
            return importlib.import_module(name)
        # Foreign code runs here: whatever it raises, SystemExit included, is its fault and is told.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.cause = self.cause or error
            reason = clean(" ".join(str(error).split()))
            self.faults.append(f"{_file_of(name)}: {type(error).__name__}: {reason}")
            return None


def _held(values: Iterable[object]) -> Iterator[Spec]:
    """Yield the specs among the values of a module, those in its lists and tables included."""
    for value in values:
        if isinstance(value, Spec):
            yield value
        elif isinstance(value, list | tuple | set | frozenset):
            yield from (each for each in value if isinstance(each, Spec))
        elif isinstance(value, dict):
            yield from (each for each in value.values() if isinstance(each, Spec))


def _lost(paths: Iterable[str]) -> Iterator[Path]:
    """Yield the folders right below `paths` that hold modules which Python's walk would leave out."""
    for path in paths:
        for folder in sorted(Path(path).glob("*/")):
            if not (folder / "__init__.py").exists() and any(folder.glob("*.py")):
                yield folder


def discover_content(
    *,
    trusted_plugins: Iterable[str] = (),
    packages: Sequence[str] = HOUSE,
    plugins: Iterable[EntryPoint] | None = None,
    given: Iterable[Spec] = (),
) -> Content:
    """Import all content and return it.

    Args:
        trusted_plugins: Names of the plugins that may be imported: `settings.content.trusted_plugins`.
        packages: Packages to walk besides.
        plugins: Entry points of the plugins; those that are installed if not given.
        given: Specs that need not be looked for: what a test wrote itself.

    Raises:
        InstallationClash: a package of the house is another distribution's.
        ContentInvalid: any content cannot be loaded; the message has one line a fault.
    """
    if packages is HOUSE:
        check_installation()
    walk = _Walk()
    for name in packages:
        walk.package(name, origin="aurora")
    known = sorted(entry_points(group=PLUGIN_GROUP) if plugins is None else plugins, key=lambda each: each.name)
    trusted = tuple(trusted_plugins)
    for name in trusted:
        matches = [entry for entry in known if entry.name == name]
        if len(matches) == 1:
            walk.plugin(matches[0])
        elif matches:
            owners = ", ".join(sorted(_distribution(entry) for entry in matches))
            walk.faults.append(f"plugin '{name}': more than one distribution offers it: {owners}")
        else:
            walk.faults.append(f"plugin '{name}': trusted, but not installed")

    for spec in given:
        walk.found.setdefault(id(spec), (spec, "given"))
    specs = [spec for spec, _ in walk.found.values()]
    walk.faults += [f"{spec.file}: {spec.kind} '{spec.id}': {fault}" for spec in specs for fault in spec.faults()]
    walk.faults += _duplicates(specs)
    walk.faults += _usurped(walk.found.values())
    walk.faults += _missing_tools(specs)
    if walk.faults:
        count = len(walk.faults)
        head = "content cannot be loaded, one fault" if count == 1 else f"content cannot be loaded, {count} faults"
        message = f"{head}:\n" + "\n".join(f"- {fault}" for fault in walk.faults)
        raise ContentInvalid(message, faults=count) from walk.cause
    newest, older = _versions(walk.found.values())
    return Content(
        graphs=_by_id(newest, GraphSpec),
        agents=_by_id(specs, AgentSpec),
        rules=_by_id(specs, RuleSpec),
        enrichers=_by_id(specs, EnricherSpec),
        tools=_by_id(specs, ToolSpec),
        untrusted=tuple(
            UntrustedPlugin(name=entry.name, package=entry.module, distribution=_distribution(entry))
            for entry in known
            if entry.name not in trusted
        ),
        origins=MappingProxyType(
            {
                (spec.kind, spec.id): origin
                for spec, origin in walk.found.values()
                if not isinstance(spec, GraphSpec) or (spec.id, spec.version) not in older
            }
        ),
        older=MappingProxyType(older),
    )


def _by_id(specs: Iterable[Spec], kind: type[AnySpec]) -> Mapping[str, AnySpec]:
    chosen = [spec for spec in specs if isinstance(spec, kind)]
    return MappingProxyType({spec.id: spec for spec in sorted(chosen, key=lambda each: each.id)})


def _versions(
    found: Iterable[tuple[Spec, str]],
) -> tuple[list[GraphSpec], dict[tuple[str, str], tuple[GraphSpec, str]]]:
    """Return the newest version of each graph, and the others by id and version with their origins."""
    newest: dict[str, GraphSpec] = {}
    older: dict[tuple[str, str], tuple[GraphSpec, str]] = {}
    graphs = [(spec, origin) for spec, origin in found if isinstance(spec, GraphSpec)]
    for spec, origin in sorted(graphs, key=lambda each: each[0].order, reverse=True):
        if newest.setdefault(spec.id, spec) is not spec:
            older[spec.id, spec.version] = (spec, origin)
    return list(newest.values()), older


def _duplicates(specs: Iterable[Spec]) -> Iterator[str]:
    """Yield a fault for what is defined twice. A graph is, where two specs have one version of it."""
    files: dict[tuple[str, str, object], list[str]] = {}
    for spec in specs:
        version = spec.order if isinstance(spec, GraphSpec) else None
        files.setdefault((spec.kind, str(spec.id), version), []).append(spec.file)
    for (kind, name, order), places in files.items():
        if len(places) > 1:
            which = f"{kind} '{name}'" if order is None else f"the same version of {kind} '{name}'"
            yield f"{which} is defined more than once: {', '.join(places)}"


def _usurped(found: Iterable[tuple[Spec, str]]) -> Iterator[str]:
    """Yield a fault for a graph whose newest version is of a plugin, and another of somebody else.

    A plugin may keep old versions of Aurora's graphs. With a new one it would take over every fresh run.
    """
    graphs: dict[str, list[tuple[GraphSpec, str]]] = {}
    for spec, origin in found:
        if isinstance(spec, GraphSpec):
            graphs.setdefault(str(spec.id), []).append((spec, origin))
    for name, versions in graphs.items():
        newest, origin = max(versions, key=lambda each: each[0].order)
        others = sorted({each for _, each in versions} - {origin})
        if others and origin not in _OURS:
            yield (
                f"{newest.file}: graph '{name}': plugin '{origin}' has a newer version of it than {', '.join(others)}, "
                "whose graph it is: give it an id of its own"
            )


def _missing_tools(specs: Iterable[Spec]) -> Iterator[str]:
    """Yield a fault for every tool that an agent names and that nothing defines."""
    known = {spec.id for spec in specs if isinstance(spec, ToolSpec)}
    for spec in specs:
        if isinstance(spec, AgentSpec):
            for name in _names(spec.tools):
                if name not in known:
                    yield f"{spec.file}: agent '{spec.id}': there is no tool '{name}'"


def _names(tools: object) -> tuple[str, ...]:
    """Return the names in an agent's `tools`; none of a bare text, which is a fault that its spec tells of."""
    return tools if isinstance(tools, tuple) else ()


def _file_of(name: str) -> str:
    """Return the file of a module that could not be imported; its name if there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    return spec.origin if spec is not None and spec.origin else name


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"
