"""What can go wrong with a NATS server, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurora.kernel.errors import BrokerError, BrokerUnavailable
from aurora.kernel.untrusted import clean

MAX_TEXT = 200
"""Characters of a server's own words that are shown."""

_DISABLED = {10039, 10076}
"""JetStream's numbers for "not enabled": no later try will mend that, though the status is 503."""

_BY_PEOPLE = ("authorization", "authentication", "permissions", "account", "secure connection", "certificate")
_OVERLOADED = ("connections exceeded", "timeout")


class Gone(Exception):
    """The stream or the consumer is not there: the server was wiped, or somebody removed it."""


class ConnectionLost(Exception):
    """The connection ended, or is not to be trusted any more."""


class Refused(Exception):
    """JetStream answered with an error.

    Args:
        error: As JetStream sends it: `code` as in HTTP, `err_code` of its own, `description`.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("description", "no reason was given")))
        self.code = int(error.get("code", 500))
        self.err_code = int(error.get("err_code", 0))


def told(error: Exception) -> BrokerError:
    """Return our error for one of nats-py's or of this package's: what passes by itself may be tried again."""
    text, kind = clean(" ".join(str(error).split()))[:MAX_TEXT], type(error).__name__
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, Refused):
        if error.err_code in _DISABLED:
            return BrokerError(
                "the NATS server has no JetStream for us: enable it (`jetstream {}` in its configuration)"
            )
        if error.code >= 500:
            return BrokerUnavailable(f"the broker is overloaded or not ready: {text}")
        return BrokerError(f"the broker refused: {text}")
    if isinstance(error, Gone):
        return BrokerUnavailable("the stream of the broker, or a consumer of it, is removed as often as it is made")
    is_overloaded = any(words in text.lower() for words in _OVERLOADED)
    if not is_overloaded and any(word in text.lower() for word in _BY_PEOPLE):
        return BrokerError(f"the broker refused: {text}")
    if is_overloaded or isinstance(error, (ConnectionLost, OSError)) or _is_passing(error):
        return BrokerUnavailable(f"the broker cannot be reached or is overloaded ({kind})")
    return BrokerError(f"the broker refused: {text or kind}")


def _is_passing(error: Exception) -> bool:
    from nats import errors as theirs  # noqa: PLC0415 - whoever made the client has imported it

    passing = (
        theirs.TimeoutError,
        theirs.NoServersError,
        theirs.ConnectionClosedError,
        theirs.ConnectionDrainingError,
        theirs.StaleConnectionError,
        theirs.OutboundBufferLimitError,
        theirs.ProtocolError,
    )
    return isinstance(error, passing) or type(error) is theirs.Error
