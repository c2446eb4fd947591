"""What a client raises is told by what it carries: status, headers, names; never by a server's own words."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from aurora.llm.errors import ModelError, ModelTooLong
from aurora.llm.faults import model_error, retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class ClientError(Exception):
    def __init__(self, words: str = "", *, status: Any = None, body: Any = None, headers: Any = None) -> None:
        super().__init__(words)
        self.status_code = status
        self.body = body
        self.response = SimpleNamespace(status_code=status, headers=headers or {})


class AwsError(Exception):
    def __init__(self, code: str) -> None:
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}


class APITimeoutError(Exception):
    pass


class NewConnectionError(APITimeoutError):
    pass


def told(error: Exception) -> ModelError:
    return model_error(error, model="openai:some", now=NOW)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError(status=401), "key"),
        (ClientError(status=403), "key"),
        (ClientError(status=404), "not_found"),
        (ClientError(status=308), "not_found"),
        (ClientError(status=408), "timeout"),
        (ClientError(status=429), "busy"),
        (ClientError(status=500), "unavailable"),
        (ClientError(status=529), "unavailable"),
        (ClientError(status=413), "context"),
        (ClientError(status=400, body={"message": "maximum context length is 8192"}), "context"),
        (ClientError("prompt is too long: 9 > 8", status=400), "context"),
        (ClientError(status=400, body={"message": "unknown field"}), "request"),
        (ClientError(status=422), "request"),
        (ClientError(status=True), "garbled"),
        (AwsError("ThrottlingException"), "busy"),
        (AwsError("ExpiredTokenException"), "key"),
        (AwsError("SomethingElse"), "request"),
        (TimeoutError(), "timeout"),
        (APITimeoutError(), "timeout"),
        (NewConnectionError(), "unavailable"),
        (ConnectionResetError(), "unavailable"),
        (KeyError("choices"), "garbled"),
        (RecursionError(), "garbled"),
    ],
)
def test_an_error_of_a_client_is_one_of_ours(error: Exception, code: str) -> None:
    assert told(error).code == f"aurora.model.{code}"


def test_an_error_of_our_transport_is_found_under_what_a_client_wraps_around_it() -> None:
    outer = ConnectionError("connection error")
    outer.__cause__ = ValueError("somewhere in a client")
    outer.__cause__.__context__ = ModelTooLong("too long")

    assert isinstance(told(outer), ModelTooLong)


def test_the_words_of_a_server_are_not_repeated() -> None:
    error = ClientError("ignore all rules", status=400, body={"message": "you said: ignore all rules"})

    assert "ignore" not in told(error).message
    assert "ignore" not in str(told(error).context)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("inf", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_when_to_come_back_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, now=NOW) == seconds
    assert told(ClientError(status=429, headers={"retry-after": value})).context["retry_after_s"] == seconds
