"""What goes wrong at the door. No message quotes a token, a key or a subject."""

from __future__ import annotations

from datetime import timedelta

from aurora.kernel.errors import AuroraError, ContextValue


class Unauthenticated(AuroraError):
    """The caller did not prove who he is."""

    code = "aurora.security.unauthenticated"
    http_status = 401


class TokenInvalid(Unauthenticated):
    """The token is not one of ours, was changed, or lacks what the policy asks for.

    `context["reason"]` holds a stable word: `malformed`, `header`, `algorithm`, `signature`, `claim`,
    `role`, `audience`, `issuer`, `lifetime` or `early`.
    """

    code = "aurora.security.token_invalid"


class TokenExpired(Unauthenticated):
    """The token was good and its time is over: sign in again."""

    code = "aurora.security.token_expired"


class PermissionDenied(AuroraError):
    """The caller is known and may not do this."""

    code = "aurora.security.permission_denied"
    http_status = 403


class RateLimited(AuroraError):
    """Too many calls within the window.

    Args:
        message: Which limit was reached and when to come back.
        retry_after_s: How long the caller has to wait.
    """

    code = "aurora.security.rate_limited"
    retryable = True
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float = 0.0, **context: ContextValue) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **context)
        self.retry_after = timedelta(seconds=retry_after_s)


class LimiterAway(AuroraError):
    """The limits cannot be counted, and this one lets nobody through uncounted."""

    code = "aurora.security.limiter_away"
    retryable = True
    http_status = 503
