"""The error tree. The error itself says its code, whether to retry, and its HTTP status."""

from __future__ import annotations

from typing import ClassVar

ContextValue = str | int | float | bool | None


class AuroraError(Exception):
    """Base of every error that Aurora raises on purpose.

    Args:
        message: One sentence: what was wrong and, where known, what to do.
        **context: Machine-readable values (ids, field names, sizes). Never alert text.
    """

    code: ClassVar[str] = "aurora.error"
    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, **context: ContextValue) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.context))


def _rebuild(kind: type[AuroraError], message: str, context: dict[str, ContextValue]) -> AuroraError:
    return kind(message, **context)


class ConfigError(AuroraError):
    """The settings, the installation or the content cannot be used as they are."""

    code = "aurora.config"
    http_status = 500


class SettingsInvalid(ConfigError):
    """One or more settings are wrong; the message lists all of them."""

    code = "aurora.config.settings"


class ContentInvalid(ConfigError):
    """Discovery found content that cannot be loaded; the message names the files."""

    code = "aurora.config.content"


class InstallationClash(ConfigError):
    """Another distribution took the place of one of our packages."""

    code = "aurora.config.clash"


class MissingExtra(ConfigError):
    """A feature needs a package that is not installed; the message has the command."""

    code = "aurora.config.missing_extra"


class InputError(AuroraError):
    """What the user or a source handed in cannot be used."""

    code = "aurora.input"
    http_status = 400


class RecordRejected(InputError):
    """One record of a source cannot be used; it is kept with this reason.

    Args:
        message: What was wrong, naming the field.
        reason: Stable word for the kind of fault, e.g. `invalid_json`, `missing_field`.
        field: Dotted path of the field at fault, if one is.
    """

    code = "aurora.input.record"

    def __init__(
        self, message: str, *, reason: str = "invalid", field: str | None = None, **context: ContextValue
    ) -> None:
        super().__init__(message, reason=reason, field=field, **context)
        self.reason = reason
        self.field = field


class SourceUnreadable(InputError):
    """A file or stream cannot be opened or stopped being readable."""

    code = "aurora.input.source"


class NotFound(AuroraError):
    """No row of this tenant has that id."""

    code = "aurora.not_found"
    http_status = 404


class Conflict(AuroraError):
    """The row changed, or somebody else decided first."""

    code = "aurora.conflict"
    http_status = 409


class LeaseLost(Conflict):
    """Another worker owns the task now; this worker must not write its result."""

    code = "aurora.runtime.lease_lost"


class QuotaExceeded(AuroraError):
    """A tenant has as much work queued as it may; `context["retry_after_s"]` says when to try again."""

    code = "aurora.runtime.quota"
    retryable = True
    http_status = 429


class DeadlinePassed(AuroraError):
    """The task's result is of no use any more; it was not run, or not to its end."""

    code = "aurora.runtime.deadline"
    http_status = 504


class GraphVersionGone(AuroraError):
    """A run cannot go on: the version of the graph that it began with is not installed, and no step leads on.

    Nothing was run. `aurora tasks retry` goes on with it once the version, or a migration from it, is there.
    """

    code = "aurora.runtime.graph_version"
    http_status = 409


class Unfenced(AuroraError):
    """A checkpoint was written without a task and an epoch; nothing was stored."""

    code = "aurora.runtime.unfenced"


class StorageError(AuroraError):
    """The database refused or could not be reached."""

    code = "aurora.storage"
    http_status = 503


class StorageUnavailable(StorageError):
    """The database cannot be reached or is locked; the same call may work later."""

    code = "aurora.storage.unavailable"
    retryable = True


class SchemaOutdated(StorageError):
    """The database has another schema revision; the message has the command that mends it."""

    code = "aurora.storage.schema"


class BrokerError(AuroraError):
    """The message broker refused, and will again until a person mends its set-up."""

    code = "aurora.broker"
    http_status = 503


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached or is overloaded; whether it took the message is unknown. Publish it again."""

    code = "aurora.broker.unavailable"
    retryable = True


class MessageInvalid(InputError):
    """A message cannot be put on a stream: it is no JSON, or too large. The message says which."""

    code = "aurora.input.message"
