"""Whether this installation can work: one check a subject, each with what mends it. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from aurora.guard import check_installation
from aurora.kernel.clock import Clock
from aurora.kernel.errors import AuroraError, ConfigError, ContentInvalid, SettingsInvalid
from aurora.settings import Environment, ModelSettings, Settings, settings_with_origin

DISTRIBUTION = "aurora-soc"
PYTHON = (3, 11)
"""The oldest that Aurora runs on."""
LEAST_BYTES, FEW_BYTES = 200 * 2**20, 2 * 2**30
"""Below the first a triage may fail half-way; below the second somebody should know."""
_DATABASE = timedelta(seconds=10)
"""A database that says nothing for so long cannot be worked with."""
_CONTENT_REMEDY = "correct the file, install the plugin, or take it out of content.trusted_plugins"
_OURS = frozenset({"dev", "test", "services"})
"""Extras that only who works on Aurora needs."""


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    """Works; somebody may want to know."""
    MEND = "mend"
    """Must be mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One subject."""

    name: str
    state: State
    found: str
    remedy: str = ""
    """What to do, a command where there is one; empty where nothing is needed."""


def _ok(name: str, found: str) -> Check:
    return Check(name=name, state=State.OK, found=found)


def _note(name: str, found: str, remedy: str = "") -> Check:
    return Check(name=name, state=State.NOTE, found=found, remedy=remedy)


def _mend(name: str, found: str, remedy: str) -> Check:
    return Check(name=name, state=State.MEND, found=found, remedy=remedy)


async def examine(
    *,
    overrides: Mapping[str, object],
    clock: Clock,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> AsyncIterator[Check]:
    """Yield every check, one after the other; what rests on settings is left out where those cannot be loaded.

    Args:
        overrides: Settings that the command line gives.
        clock: The clock that is checked.
        environ: The environment; that of the process if not given.
        directory: Where `aurora.toml` is looked for; the current directory if not given.
    """
    yield python(sys.version_info[:3])
    yield _installation()
    yield clock_sanity(clock.now(), _newest_file())
    try:
        settings, origins = settings_with_origin(environ=environ, directory=directory, **overrides)
    except SettingsInvalid as invalid:
        yield _mend("settings", invalid.message, "correct what is listed; docs/reference/settings.md has them all")
    else:
        yield _settings(origins)
        yield _secret(settings)
        for check in data_directory(settings):
            yield check
        yield await database(settings)
        yield model(settings.model)
        for check in content(settings):
            yield check
    for check in extras():
        yield check


def python(found: Sequence[int]) -> Check:
    """Check the version of Python."""
    shown = ".".join(map(str, found))
    if tuple(found[:2]) < PYTHON:
        needed = ".".join(map(str, PYTHON))
        return _mend("python", f"{shown}, and Aurora needs {needed}", f"install Python {needed} or newer")
    return _ok("python", f"{shown}, {sys.executable}")


def clock_sanity(now: datetime, newest: datetime) -> Check:
    """Check the clock: files of Aurora are not written in the future.

    Args:
        now: What the clock says.
        newest: When the newest file of the installation was written.
    """
    if now < newest - timedelta(days=1):
        return _mend(
            "clock",
            f"says {now:%Y-%m-%d %H:%M} UTC, but Aurora was installed on {newest:%Y-%m-%d}: "
            "leases, ids and time windows would be wrong",
            "set the clock: sudo timedatectl set-ntp true",
        )
    return _ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def data_directory(settings: Settings) -> Iterator[Check]:
    """Check that the directory of a SQLite database can be written, and has space."""
    from aurora.storage.engine import file_of  # noqa: PLC0415 - imports sqlalchemy

    file = file_of(settings.database.dsn)
    if file is None:
        yield _ok("data directory", "not needed: the database is no file")
        return
    folder = file.resolve().parent
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield _mend(
            "data directory",
            f"{there} cannot be written, and the database belongs into {folder}",
            f"sudo chown $USER {there}, or name another place with --db or AURORA_DATABASE__URL",
        )
        return
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        yield _mend("data directory", f"{file} cannot be written", f"sudo chown $USER {file}")
        return
    yield _ok("data directory", f"{folder}" if there == folder else f"{folder}, made when it is needed")
    yield disk(there, shutil.disk_usage(there).free)


def disk(folder: Path, free_bytes: int) -> Check:
    """Check that there is space for a database that grows."""
    shown = f"{free_bytes / 2**30:,.1f} GiB free on {folder}"
    if free_bytes < LEAST_BYTES:
        return _mend("disk", f"only {shown}", "make room, or name another place with --db or AURORA_DATABASE__URL")
    if free_bytes < FEW_BYTES:
        return _note("disk", f"only {shown}", "a thousand alerts need some 30 MB")
    return _ok("disk", shown)


async def database(settings: Settings) -> Check:
    """Check that the database can be reached and has the schema that this Aurora needs. Makes nothing."""
    from aurora.storage.engine import file_of, open_engine  # noqa: PLC0415 - imports sqlalchemy
    from aurora.storage.schema import HEAD, revision  # noqa: PLC0415

    shown = settings.database.shown_url.replace("+aiosqlite:", ":", 1).replace("+asyncpg:", ":", 1)
    upgrade = f"aurora db upgrade --db {shown}"
    try:
        file = file_of(settings.database.dsn)
        if file is not None and not file.exists():
            return _note("database", f"{shown}: there is none yet; the first command that needs it makes it")
        async with (
            asyncio.timeout(_DATABASE.total_seconds()),
            open_engine(settings.database.dsn, pool_size=1) as engine,
        ):
            found = await revision(engine)
    except ConfigError as error:  # a driver that is missing says how to install it
        said, _, command = error.message.partition(": pip install ")
        remedy = f"pip install {command}" if command else "see the message"
        return _mend("database", f"{shown}: {said}", remedy)
    except (AuroraError, TimeoutError) as error:
        said = str(error) or f"no answer within {_DATABASE.total_seconds():.0f} s"
        mend = "start the server" if file_of(settings.database.dsn) is None else "make it a file that you may write"
        return _mend("database", f"{shown}: {said}", f"{mend}, or name another database with --db")
    if found.is_current:
        return _ok("database", f"{shown}, schema {found.found}")
    if found.found is None and found.tables:
        return _mend("database", f"{shown} holds tables that are not Aurora's", "name a database of its own with --db")
    if found.found is None:
        return _note("database", f"{shown} is empty; the first command that needs it makes the tables")
    if found.found > HEAD:
        return _mend(
            "database",
            f"{shown} has schema {found.found}, this Aurora knows {HEAD}",
            f"pip install --upgrade {DISTRIBUTION}",
        )
    return _mend("database", f"{shown} has schema {found.found}, this Aurora needs {HEAD}", upgrade)


def content(settings: Settings) -> Iterator[Check]:
    """Check that all content loads, and tell of plugins that nobody trusts."""
    from aurora.discovery import discover_content  # noqa: PLC0415 - imports all content
    from aurora.services.content import graph_faults, items  # noqa: PLC0415

    try:
        found = discover_content(trusted_plugins=settings.content.trusted_plugins)
    except ContentInvalid as invalid:
        for fault in invalid.message.splitlines()[1:] or [invalid.message]:
            yield _mend("content", fault.removeprefix("- "), _CONTENT_REMEDY)
        return
    except AuroraError as error:  # another distribution's package: told by the check of the installation
        yield _mend("content", error.message, "see the check of the installation")
        return
    faults = list(graph_faults(found))
    for fault in faults:
        yield _mend("content", fault, _CONTENT_REMEDY)
    if not faults:
        yield _ok("content", f"{len(items(found))} items, no fault")
    for plugin in found.untrusted:
        yield _note(
            "plugin",
            f"{plugin.name} of {plugin.distribution} is installed and not trusted: none of its code runs",
            f'to use it, add "{plugin.name}" to trusted_plugins below [content] in aurora.toml',
        )


def model(settings: ModelSettings) -> Check:
    """Check that the model which is set, if one is, can be asked: a known provider, its package, its key."""
    from aurora.llm.factory import is_installed, key_of  # noqa: PLC0415 - only where models are looked at
    from aurora.llm.providers import provider_of  # noqa: PLC0415

    if settings.name is None:
        return _note("model", "none set: written rules decide alone", "to ask one: aurora triage --model provider:name")
    try:
        provider, _ = provider_of(settings.name)
    except ConfigError as error:
        return _mend("model", error.message, "correct model.name; `aurora model list` shows the providers")
    if not is_installed(provider):
        install = f"pip install '{DISTRIBUTION}[{provider.extra}]'"
        return _mend("model", f"{settings.name} needs a package that is not installed", install)
    if provider.needs_key and settings.url is None and key_of(provider, settings) is None:
        variable = provider.variable or "AURORA_MODEL__API_KEY"
        return _mend("model", f"{settings.name} needs a key", f"export {variable}=…")
    where = f" at {settings.url}" if settings.url else ""
    return _ok("model", f"{settings.name}{where}; `aurora model check` asks it")


def extras(
    *,
    required: Callable[[], Sequence[str]] = lambda: requires(DISTRIBUTION) or (),
    has: Callable[[str], bool] | None = None,
) -> Iterator[Check]:
    """Tell of every extra of the distribution whether it is installed, from the distribution's own metadata.

    Args:
        required: Returns the requirements of the distribution.
        has: Tells whether a distribution is installed.
    """
    try:
        needs = _by_extra(required())
    except PackageNotFoundError:
        yield _note("extras", "unknown: Aurora runs from its source tree", f"pip install {DISTRIBUTION}")
        return
    for extra, names in sorted(needs.items()):
        missing = [name for name in names if not (has or _has)(name)]
        yield (
            _note(f"extra {extra}", f"not installed: {', '.join(missing)}", f"pip install '{DISTRIBUTION}[{extra}]'")
            if missing
            else _ok(f"extra {extra}", f"installed: {', '.join(names)}")
        )


def _by_extra(required: Sequence[str]) -> dict[str, list[str]]:
    """Return the distributions that each extra asks for; those for who works on Aurora are left out."""
    found: dict[str, list[str]] = {}
    for line in required:
        requirement, _, marker = line.partition(";")
        _, equals, extra = marker.replace("'", '"').partition('extra == "')
        name = requirement.strip()
        for end in "<>=!~[ (":
            name = name.partition(end)[0]
        if equals and (extra := extra.partition('"')[0]) not in _OURS and name != DISTRIBUTION:
            found.setdefault(extra, []).append(name)
    return found


def _has(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _installation() -> Check:
    try:
        check_installation()
    except AuroraError as clash:
        return _mend("installation", clash.message, f"python -m venv aurora && aurora/bin/pip install {DISTRIBUTION}")
    try:
        return _ok("installation", f"{DISTRIBUTION} {metadata(DISTRIBUTION)['Version']}, four packages side by side")
    except PackageNotFoundError:
        return _ok("installation", "a source tree, four packages side by side")


def _newest_file() -> datetime:
    """Return when the newest file of this package was written."""
    folder = Path(__file__).parents[1]
    newest = max(file.stat().st_mtime for file in folder.glob("*/*.py"))
    return datetime.fromtimestamp(newest, tz=UTC)


def _settings(origins: Mapping[str, str]) -> Check:
    given = {name: origin for name, origin in origins.items() if origin != "default"}
    places = ", ".join(sorted(set(given.values())))
    found = f"{len(given)} of {len(origins)} set, in {places}" if given else f"all {len(origins)} as they come"
    return Check(name="settings", state=State.OK, found=found)


def _secret(settings: Settings) -> Check:
    if settings.auth.jwt_secret_key is not None:
        return _ok("signing key", "set")
    # Production without one does not get here: the settings themselves refuse it.
    return _note(
        "signing key",
        f"not set, which {Environment.DEVELOPMENT.value} allows; production refuses to start without it",
        "export AURORA_AUTH__JWT_SECRET_KEY=$(openssl rand -hex 32)",
    )
