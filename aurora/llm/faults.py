"""From what a provider's client raises to what was wrong. No client is imported: an error is known by what it carries.

Texts of servers are not repeated: they may quote the prompt, and with it what an attacker wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from aurora.llm.errors import (
    ModelBusy,
    ModelContextExceeded,
    ModelError,
    ModelGarbled,
    ModelKeyRefused,
    ModelNotFound,
    ModelRefused,
    ModelRequestRefused,
    ModelTimeout,
    ModelTooLong,
    ModelUnavailable,
)

_CONTEXT = re.compile(
    r"context.{0,20}(length|window|size|limit)|too many tokens|prompt is too long|exceed_context", re.IGNORECASE
)
_LONGEST = 4000
_AWS = {
    "ThrottlingException": 429,
    "AccessDeniedException": 403,
    "UnrecognizedClientException": 403,
    "ExpiredTokenException": 403,
    "ValidationException": 400,
    "ResourceNotFoundException": 404,
}
"""Bedrock tells the kind of error by name."""


def model_error(error: Exception, *, model: str, now: datetime) -> ModelError:
    """Return the error of our own that says what `error` means.

    Args:
        error: What a client raised.
        model: Name of the model, for the message.
        now: The moment, for a `Retry-After` that is a date.
    """
    for each in _chain(error):
        if isinstance(each, ModelError):
            return each
    status = status_of(error)
    if status is not None:
        return _of_status(error, status, model=model, now=now)
    kinds = {kind.__name__ for each in _chain(error) for kind in type(each).__mro__}
    if "LengthFinishReasonError" in kinds:
        return ModelTooLong(f"{model} was cut off before its answer was complete", model=model)
    if "ContentFilterFinishReasonError" in kinds or "OpenAIRefusalError" in kinds:
        return ModelRefused(f"a filter of the provider stopped {model}", model=model)
    if "OpenAIContextOverflowError" in kinds or "ContextOverflowError" in kinds:
        return ModelContextExceeded(f"the request is longer than what {model} can read", model=model)
    if kinds & {"EndpointConnectionError", "NewConnectionError"}:  # which urllib3 derives from its time-outs
        return _away(error, model)
    if kinds & {"TimeoutError", "APITimeoutError", "TimeoutException", "ReadTimeoutError", "ConnectTimeoutError"}:
        return ModelTimeout(f"{model} did not answer in time", model=model)
    if kinds & {
        "APIConnectionError",
        "ConnectionError",
        "TransportError",
        "HTTPClientError",
    }:
        return _away(error, model)
    return ModelGarbled(f"{model} sent what its protocol does not know ({_kind(error)})", model=model)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error of a client carries, if it does."""
    for each in _chain(error):
        response = getattr(each, "response", None)
        if isinstance(response, dict):  # botocore
            code = response.get("Error", {}).get("Code")
            status = _AWS.get(str(code)) or response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = getattr(each, "status_code", None) or getattr(response, "status_code", None)
            status = status or getattr(each, "code", None)  # google
        if isinstance(status, int) and not isinstance(status, bool) and 300 <= status <= 999:
            return status
    return None


def words_of(error: BaseException) -> str:
    """Return the beginning of what a server said: to look for words in, never to show."""
    for each in _chain(error):
        body = getattr(each, "body", None)
        if body is not None:
            return str(body)[:_LONGEST]
    return str(error)[:_LONGEST]


def retry_after(headers: Any, *, now: datetime) -> float | None:
    """Return the seconds that a server asks to wait: `Retry-After` as a number or as a date (RFC 9110 §10.2.3)."""
    try:
        stated = str(headers.get("retry-after") or "").strip()
    except AttributeError:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", stated):
        return float(stated)
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _of_status(error: Exception, status: int, *, model: str, now: datetime) -> ModelError:
    if status in {401, 403}:
        return ModelKeyRefused(
            f"{model}: the provider refused the key ({status}); set AURORA_MODEL__API_KEY, "
            "or AURORA_MODEL__API_KEY_FILE to the path of a file that holds it",
            model=model,
            status=status,
        )
    if status == 404 or 300 <= status < 400:
        what = "there is no such model or path" if status == 404 else "it points elsewhere, and that is not followed"
        return ModelNotFound(f"{model}: {what} ({status}); check its name and --model-url", model=model, status=status)
    if status == 408:
        return ModelTimeout(f"{model}: the server gave up waiting ({status})", model=model, status=status)
    if status in {425, 429}:
        pause = retry_after(_headers(error), now=now)
        return ModelBusy(
            f"{model}: the provider asks for fewer requests ({status})",
            model=model,
            status=status,
            retry_after_s=pause,
        )
    if status >= 500:
        pause = retry_after(_headers(error), now=now)
        return ModelUnavailable(
            f"{model}: its server failed ({status})", model=model, status=status, retry_after_s=pause
        )
    if status == 413 or _CONTEXT.search(words_of(error)):
        return ModelContextExceeded(
            f"the request is longer than what {model} can read ({status})", model=model, status=status
        )
    return ModelRequestRefused(f"{model}: the server refused the request ({status})", model=model, status=status)


def _away(error: BaseException, model: str) -> ModelUnavailable:
    what = f"cannot be reached, or hung up ({_kind(error)}); check the address, and that its server runs"
    return ModelUnavailable(f"{model} {what}", model=model)


def _headers(error: BaseException) -> Any:
    for each in _chain(error):
        headers = getattr(getattr(each, "response", None), "headers", None)
        if headers is not None:
            return headers
    return {}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it; clients wrap what a transport raises."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _kind(error: BaseException) -> str:
    return type(error).__name__
