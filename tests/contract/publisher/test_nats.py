"""The publisher on a real NATS server."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from aurora.dispatch.brokers.nats import NatsPublisher, open_nats
from aurora.dispatch.brokers.nats_streams import CONFIG, NAME, subject
from aurora.dispatch.messages import Stream, encoded
from aurora.testing import ManualClock
from tests.contract.publisher.clauses import METHODS, PublisherContract, Read
from tests.services import NatsServer


@pytest.fixture
async def publisher(nats_server: NatsServer, clock: ManualClock) -> AsyncIterator[NatsPublisher]:
    async with open_nats(nats_server.url, clock=clock, within=timedelta(seconds=10)) as broker:
        yield NatsPublisher(broker)


@pytest.fixture
async def jetstream(nats_server: NatsServer) -> AsyncIterator[Any]:
    """JetStream as a stranger sees it."""
    from nats.aio.client import Client

    client = Client()
    await client.connect(nats_server.url, allow_reconnect=False)
    yield client.jetstream()
    await client.close()


@pytest.fixture
def read(jetstream: Any) -> Read:
    from nats.js.errors import NotFoundError

    async def read(stream: Stream) -> list[Any]:
        found: list[Any] = []
        sequence = 1
        try:
            while True:
                entry = await jetstream.get_msg(NAME, seq=sequence, subject=subject(stream), next=True)
                found.append(orjson.loads(entry.data))
                sequence = entry.seq + 1
        except NotFoundError:
            return found

    return read


@pytest.mark.integration
class TestNatsPublisher(PublisherContract):
    pass


def test_it_has_exactly_the_four_methods() -> None:
    public = {name for name, _ in inspect.getmembers(NatsPublisher, callable) if not name.startswith("_")}

    assert public == set(METHODS.values())


@pytest.mark.integration
async def test_an_entry_lies_on_the_subject_that_others_know_and_carries_the_id_of_its_content(
    publisher: NatsPublisher, jetstream: Any
) -> None:
    await publisher.publish_alert({"id": "a1"})

    entry = await jetstream.get_msg("AURORA", seq=1)

    assert (entry.subject, entry.data) == ("AURORA.alerts", b'{"id":"a1"}')
    assert entry.headers == {"Nats-Msg-Id": f"AURORA.alerts:{encoded({'id': 'a1'}).id}"}


@pytest.mark.integration
async def test_the_stream_is_what_the_documents_say(publisher: NatsPublisher, jetstream: Any) -> None:
    await publisher.publish_audit({"id": 1})

    config = (await jetstream.stream_info("AURORA")).config

    assert (config.retention, config.storage, config.max_msgs) == ("limits", "file", -1)
    assert timedelta(seconds=config.max_age) == timedelta(days=7)
    assert timedelta(seconds=config.duplicate_window) == timedelta(minutes=2)
    assert config.subjects == CONFIG["subjects"]
    assert {"AURORA.alerts", "AURORA.ioc_sharing", "AURORA.agent_results", "AURORA.audit"} < set(config.subjects)
