"""What the NATS broker decides without a server: URLs, errors, names, patterns."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nats import errors as theirs

from aurora.dispatch.brokers.nats import open_nats
from aurora.dispatch.brokers.nats_errors import ConnectionLost, Gone, Refused, told
from aurora.dispatch.brokers.nats_link import _options, _really_cancelled
from aurora.dispatch.brokers.nats_streams import of_group, of_lane, seen_at, stream_of, subject
from aurora.dispatch.brokers.nats_trim import _matches, _moment
from aurora.kernel.errors import BrokerError, BrokerUnavailable, ConfigError
from aurora.kernel.models.task import Lane
from aurora.kernel.ports.broker import Stream
from aurora.testing import ManualClock


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("nats://host", {"servers": ["nats://host:4222"]}),
            ("tls://host:4443/", {"servers": ["tls://host:4443"]}),
            ("nats://[::1]:4222", {"servers": ["nats://[::1]:4222"]}),
            ("nats://a:b%40c@host", {"servers": ["nats://host:4222"], "user": "a", "password": "b@c"}),
            ("nats://t%3Aken@host", {"servers": ["nats://host:4222"], "token": "t:ken"}),
            (
                "nats://a:b@one:1,two:2,nats://three",
                {
                    "servers": ["nats://one:1", "nats://two:2", "nats://three:4222"],
                    "user": "a",
                    "password": "b",
                },
            ),
        ],
    )
    def test_user_and_password_are_taken_out_of_the_servers(self, url: str, options: dict[str, Any]) -> None:
        assert _options(url) == options

    @pytest.mark.parametrize(
        "url",
        [
            "nats://a:geheim@host:port",
            "nats://a:geheim@",
            "nats://a:geheim@host/path",
            "ws://a:geheim@host",
            "nats://a:ge/heim@host",
            "nats://a:geheim@[host",
            "nats://a:geheim@host,redis://host",
            "tls://a:geheim@one,nats://two",
            "nats://",
        ],
    )
    async def test_a_url_that_is_none_is_refused_before_anything_is_opened_and_not_shown(
        self, url: str, clock: ManualClock
    ) -> None:
        with pytest.raises(ConfigError, match="nats://host:4222") as refused:
            async with open_nats(url, clock=clock):
                pass

        assert "heim" not in f"{refused.value} {refused.value.context} {refused.value.__cause__}"


class TestErrors:
    @pytest.mark.parametrize(
        "error",
        [
            TimeoutError(),
            ConnectionRefusedError(111, "Connect call failed"),
            ConnectionLost(),
            Gone(),
            theirs.NoServersError(),
            theirs.TimeoutError(),
            theirs.ConnectionClosedError(),
            theirs.Error("nats: 'maximum account active connections exceeded'"),
            theirs.Error("nats: 'Authentication Timeout'"),
            theirs.Error("nats: empty response from server when expecting INFO message"),
            Refused({"code": 503, "err_code": 10008, "description": "JetStream system temporarily unavailable"}),
            Refused({"code": 500, "err_code": 10047, "description": "insufficient storage resources available"}),
        ],
        ids=repr,
    )
    def test_what_passes_by_itself_may_be_tried_again(self, error: Exception) -> None:
        assert isinstance(told(error), BrokerUnavailable)

    @pytest.mark.parametrize(
        "error",
        [
            theirs.AuthorizationError(),
            theirs.Error("nats: 'Authorization Violation'"),
            theirs.Error("nats: 'User Authentication Expired'"),
            theirs.Error("nats: permissions violation for publish"),
            theirs.SecureConnWantedError(),
            theirs.MaxPayloadError(),
            OSError("certificate verify failed"),
            Refused({"code": 503, "err_code": 10076, "description": "JetStream not enabled"}),
            Refused({"code": 400, "err_code": 10065, "description": "subjects overlap with an existing stream"}),
        ],
        ids=repr,
    )
    def test_what_a_person_must_mend_is_not_tried_again(self, error: Exception) -> None:
        assert type(told(error)) is BrokerError

    def test_our_own_errors_stay_what_they_are(self) -> None:
        error = BrokerError("the stream has other settings")

        assert told(error) is error

    def test_the_words_of_a_server_are_one_short_line_that_a_terminal_may_show(self) -> None:
        found = str(told(Refused({"code": 400, "description": "a\x1b[2J\r\n\u202eb" + "x" * 1000})))

        assert found.isprintable()
        assert len(found) < 300


class TestNames:
    def test_a_subject_leads_back_to_its_stream(self) -> None:
        assert {stream: stream_of(subject(stream)) for stream in Stream} == {stream: stream for stream in Stream}
        assert stream_of("AURORA.ioc_sharing") is stream_of("") is stream_of("AURORA.>") is None

    def test_lanes_and_groups_have_the_names_that_others_know(self) -> None:
        assert of_lane(Lane.HIGH).name == "aurora-agents-high"
        assert of_lane(Lane.HIGH).filter == "AURORA.agent_tasks.high"
        assert of_group(Stream.ALERTS, "site").name == "site-alerts"

    def test_two_groups_never_share_a_consumer(self) -> None:
        groups = ["a.b", "a b", "a%20b", "a%2Eb", "a", "A", "*", ">", "é"]

        names = {of_group(stream, group).name for stream in Stream for group in groups}

        assert len(names) == len(groups) * len(Stream)
        assert not any(character in name for name in names for character in " .*>/\\\t\r\n")

    @pytest.mark.parametrize(
        ("pattern", "matches"),
        [
            ("AURORA.alerts", True),
            ("AURORA.*", True),
            ("AURORA.>", True),
            (">", True),
            ("*.alerts", True),
            ("AURORA", False),
            ("AURORA.alerts.>", False),
            ("AURORA.alerts.*", False),
            ("AURORA.audit", False),
            ("*", False),
        ],
    )
    def test_patterns_match_as_on_the_server(self, pattern: str, matches: bool) -> None:  # noqa: FBT001 - a table
        assert _matches(pattern, "AURORA.alerts") is matches


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "microsecond"),
        [("2026-11-22T12:00:00.123456789Z", 123456), ("2026-11-22T12:00:00Z", 0), ("2026-11-22T12:00:00.5Z", 500000)],
    )
    def test_a_moment_of_the_server_is_read_to_the_microsecond(self, text: str, microsecond: int) -> None:
        assert _moment(text) == datetime(2026, 11, 22, 12, 0, 0, microsecond, tzinfo=UTC)

    @pytest.mark.parametrize("seen", ["", "yesterday", "2026-11-22T12:00:00", "\x00"])
    def test_a_word_that_no_group_of_ours_left_counts_for_nothing(self, seen: str) -> None:
        assert seen_at({"metadata": {"aurora_seen": seen}}) is seen_at({"metadata": None}) is seen_at({}) is None


class TestCancellation:
    async def test_one_that_nobody_asked_for_is_a_lost_connection(self) -> None:
        with pytest.raises(ConnectionLost):
            async with _really_cancelled():
                raise asyncio.CancelledError

    async def test_one_that_the_library_swallowed_arrives_all_the_same(self) -> None:
        async def careless() -> None:
            async with _really_cancelled():
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(careless())
            await asyncio.sleep(0)
            task.cancel()

        assert task.cancelled()

    async def test_a_time_out_around_it_works(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(timedelta(milliseconds=1).total_seconds()), _really_cancelled():
                await asyncio.Event().wait()
