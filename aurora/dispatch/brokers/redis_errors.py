"""Errors of redis-py, as ours."""

from __future__ import annotations

from aurora.dispatch.messages import Stream
from aurora.kernel.errors import BrokerError, BrokerUnavailable
from aurora.kernel.untrusted import clean

_LOST = ("NOGROUP", "UNBLOCKED")
"""What a server says that has lost a stream or a group: before a read, and during one."""


def told(error: Exception, stream: Stream | None = None) -> BrokerError:
    """Return our error for one of redis-py's: what passes by itself may be tried again."""
    from redis import exceptions as theirs  # noqa: PLC0415 - whoever made the client has imported it

    by_people = (theirs.AuthenticationError, theirs.AuthorizationError)
    passing = (
        theirs.ConnectionError,
        theirs.TimeoutError,
        theirs.OutOfMemoryError,
        theirs.ReadOnlyError,
        theirs.ClusterDownError,
        theirs.TryAgainError,
        OSError,  # TimeoutError is one
    )
    kind = type(error).__name__
    where = {} if stream is None else {"stream": stream.value}
    refused = any(isinstance(each, by_people) for each in (error, error.__cause__))  # some arrive as the cause
    if (isinstance(error, passing) or is_lost(error)) and not refused:
        return BrokerUnavailable(f"the broker cannot be reached or is overloaded ({kind})", **where)
    return BrokerError(f"the broker refused: {clean(next(iter(str(error).splitlines()), kind))}", **where)


def is_lost(error: Exception) -> bool:
    """Tell whether the server has lost the group that it was asked for: it was wiped, or the group given up."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 - whoever made the client has imported it

    return isinstance(error, ResponseError) and any(word in str(error) for word in _LOST)
