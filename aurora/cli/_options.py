"""Options that several commands take, and what they open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from aurora.bootstrap import Runtime
    from aurora.settings import Settings

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        show_default=False,
        help="Database, such as sqlite:///soc.db or postgresql://user@host/aurora. "
        "Without it: AURORA_DATABASE__URL, then aurora.toml, then a file in your data directory.",
    ),
]

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PROVIDER:NAME",
        show_default=False,
        help="Chat model, such as openai:gpt-5-mini or ollama:qwen3:8b; aurora model list shows the providers. "
        "Without it: AURORA_MODEL__NAME, then aurora.toml, then none.",
    ),
]

ModelUrl = Annotated[
    str | None,
    typer.Option(
        "--model-url",
        metavar="URL",
        show_default=False,
        help="Base URL of the model's server, where it is not the provider's own, such as http://127.0.0.1:8080/v1.",
    ),
]

BrokerName = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="URL",
        show_default=False,
        help="What wakes workers: local, redis, nats, or a URL such as redis://10.0.0.5:6379/0. "
        "Without it: AURORA_DISPATCH__BROKER, then aurora.toml, then local. Nothing but time depends on it.",
    ),
]

BROKERS = {
    "local": ("local://", ("local",)),
    "redis": ("redis://127.0.0.1:6379/0", ("redis", "rediss", "unix")),
    "nats": ("nats://127.0.0.1:4222", ("nats", "tls")),
}
"""What a name stands for unless the settings have a URL of these schemes."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, and nothing else.")]


def settings_for(db: str | None, *, broker: str | None = None, **overrides: Any) -> Settings:
    """Return the settings of this command; `--db` and `--broker` win over every other source.

    Args:
        db: From `--db`.
        broker: From `--broker`: a name or a URL.
        **overrides: What other options set.

    Raises:
        SettingsInvalid: anything is wrong; the message lists every fault.
    """
    from aurora.cli._show import err, log_to
    from aurora.settings import load_settings

    if db is not None:
        overrides["database__url"] = db
    settings = load_settings(**overrides)
    if broker is not None:
        settings = load_settings(**overrides, dispatch__broker=broker_url(broker, settings))
    log_to(err(), settings.observability.log_level)
    return settings


def broker_url(broker: str, settings: Settings) -> str:
    """Return the URL of a broker that was named, or given as a URL: that of the settings where it is of this kind."""
    if broker not in BROKERS:
        if "://" not in broker:
            from aurora.kernel.errors import SettingsInvalid
            from aurora.kernel.untrusted import quoted

            raise SettingsInvalid(f"there is no broker {quoted(broker)}; give {', '.join(BROKERS)}, or a URL")
        return broker
    usual, schemes = BROKERS[broker]
    dispatch = settings.dispatch
    for url in (dispatch.broker, dispatch.second_broker):
        if url is not None and url.get_secret_value().partition("://")[0] in schemes:
            return url.get_secret_value()
    return usual


def model_overrides(model: str | None, url: str | None) -> dict[str, str]:
    """Return what `--model` and `--model-url` set, as overrides for `settings_for`."""
    return {name: value for name, value in {"model__name": model, "model__url": url}.items() if value is not None}


@asynccontextmanager
async def opened(db: str | None, *, broker: str | None = None) -> AsyncIterator[Runtime]:
    """Open the runtime on the database, and with the broker, of this command."""
    from aurora.bootstrap import open_runtime

    async with open_runtime(settings_for(db, broker=broker)) as runtime:
        yield runtime


def database_shown(settings: Settings) -> str:
    """Return the URL of the database as one would type it, without password and driver."""
    return settings.database.shown_url.replace("+aiosqlite:", ":", 1).replace("+asyncpg:", ":", 1)
