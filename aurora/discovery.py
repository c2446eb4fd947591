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
    agents: Mapping[str, AgentSpec]
    rules: Mapping[str, RuleSpec]
    enrichers: Mapping[str, EnricherSpec]
    tools: Mapping[str, ToolSpec]
    untrusted: tuple[UntrustedPlugin, ...] = ()
    origins: Mapping[tuple[str, str], str]
    """Name of the plugin, or `aurora`, by kind and id."""

    def items(self) -> tuple[ContentItem, ...]:
        """Return all content for a list, by kind and id."""
        specs: list[Spec] = [
            spec
            for group in (self.graphs, self.agents, self.tools, self.rules, self.enrichers)
            for spec in group.values()
        ]
        return tuple(
            ContentItem(
                id=spec.id,
                kind=spec.kind,
                version=spec.version,
                risk=spec.risk,
                file=spec.file,
                origin=self.origins[spec.kind, spec.id],
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
    walk.faults += _missing_tools(specs)
    if walk.faults:
        count = len(walk.faults)
        head = "content cannot be loaded, one fault" if count == 1 else f"content cannot be loaded, {count} faults"
        message = f"{head}:\n" + "\n".join(f"- {fault}" for fault in walk.faults)
        raise ContentInvalid(message, faults=count) from walk.cause
    return Content(
        graphs=_by_id(specs, GraphSpec),
        agents=_by_id(specs, AgentSpec),
        rules=_by_id(specs, RuleSpec),
        enrichers=_by_id(specs, EnricherSpec),
        tools=_by_id(specs, ToolSpec),
        untrusted=tuple(
            UntrustedPlugin(name=entry.name, package=entry.module, distribution=_distribution(entry))
            for entry in known
            if entry.name not in trusted
        ),
        origins=MappingProxyType({(spec.kind, spec.id): origin for spec, origin in walk.found.values()}),
    )


def _by_id(specs: Iterable[Spec], kind: type[AnySpec]) -> Mapping[str, AnySpec]:
    chosen = [spec for spec in specs if isinstance(spec, kind)]
    return MappingProxyType({spec.id: spec for spec in sorted(chosen, key=lambda each: each.id)})


def _duplicates(specs: Iterable[Spec]) -> Iterator[str]:
    files: dict[tuple[str, str], list[str]] = {}
    for spec in specs:
        files.setdefault((spec.kind, str(spec.id)), []).append(spec.file)
    for (kind, name), places in files.items():
        if len(places) > 1:
            yield f"{kind} '{name}' is defined more than once: {', '.join(places)}"


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
