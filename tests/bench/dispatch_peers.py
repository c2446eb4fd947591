"""What others need for the same trivial tasks: raw clients, and the task libraries that are installed.

Each function submits tasks and then works them off in this process, with its defaults for one worker of 64 places and
a payload of about 200 bytes. What a peer leaves out (leases that are renewed, fences, fair shares, a second broker) it
need not pay for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

PLACES = 64
PAYLOAD = {"key": "k" * 36, "text": "x" * 120}


@dataclass(frozen=True, slots=True)
class Drained:
    """How long a worker took for tasks that were waiting."""

    tasks: int
    wall_s: float
    cpu_s: float
    """Of this process, all its threads."""

    @property
    def per_second(self) -> float:
        return self.tasks / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU of the worker for one task."""
        return self.cpu_s / self.tasks * 1e6


class Stopwatch:
    """Measures from the end of the first tenth, which warms up, to the end of the last task."""

    def __init__(self, tasks: int) -> None:
        self._left = tasks
        self._measured = tasks - tasks // 10
        self._wall = self._cpu = 0.0
        self._has_begun = False
        self.finished = asyncio.Event()
        self.result: Drained | None = None

    def count(self, number: int = 1) -> None:
        """Count tasks that were done."""
        self._left -= number
        if not self._has_begun and self._left <= self._measured:
            self._has_begun, self._measured = True, self._left
            self._wall, self._cpu = time.perf_counter(), time.process_time()
        elif self._left <= 0 and self.result is None:
            wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
            self.result = Drained(self._measured, wall, cpu)
            self.finished.set()


async def raw_redis(url: str, tasks: int) -> Drained:
    """redis-py: XADD, XREADGROUP by 64, XACK and XDEL."""
    from redis.asyncio import Redis

    watch = Stopwatch(tasks)
    async with Redis.from_url(url) as client:
        await client.xgroup_create("raw", "g", mkstream=True)
        for start in range(0, tasks, PLACES):
            async with client.pipeline(transaction=False) as pipe:
                for _ in range(min(PLACES, tasks - start)):
                    pipe.xadd("raw", {"d": json.dumps(PAYLOAD)})
                await pipe.execute()
        while watch.result is None:
            ((_, entries),) = await client.xreadgroup("g", "c", {"raw": ">"}, count=PLACES, block=1000)
            ids = [entry_id for entry_id, fields in entries if json.loads(fields[b"d"])]
            async with client.pipeline(transaction=False) as pipe:
                pipe.xack("raw", "g", *ids)
                pipe.xdel("raw", *ids)
                await pipe.execute()
            watch.count(len(ids))
    assert watch.result is not None
    return watch.result


async def raw_nats(url: str, tasks: int) -> Drained:
    """nats-py: JetStream file storage, fetch by 128, ack."""
    import nats

    watch = Stopwatch(tasks)
    client = await nats.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="RAW", subjects=["raw"], retention="workqueue")
    data = json.dumps(PAYLOAD).encode()
    for start in range(0, tasks, PLACES):
        await asyncio.gather(*(stream.publish("raw", data) for _ in range(min(PLACES, tasks - start))))
    subscription = await stream.pull_subscribe("raw", durable="raw")
    while watch.result is None:
        messages = await subscription.fetch(128, timeout=2)
        for message in messages:
            json.loads(message.data)
            await message.ack()
        watch.count(len(messages))
    await client.close()
    return watch.result


async def taskiq_redis(url: str, tasks: int) -> Drained:
    """taskiq with a Redis stream."""
    from taskiq_redis import RedisStreamBroker

    return await _taskiq(RedisStreamBroker(url, queue_name=uuid4().hex, consumer_id="0"), tasks)


async def taskiq_nats(url: str, tasks: int) -> Drained:
    """taskiq with a JetStream pull consumer, 64 a fetch."""
    from taskiq_nats import PullBasedJetStreamBroker

    name = uuid4().hex
    broker = PullBasedJetStreamBroker(
        [url], subject=f"s{name}", stream_name=f"t{name}", durable=f"d{name}", pull_consume_batch=PLACES
    )
    return await _taskiq(broker, tasks)


async def _taskiq(broker: Any, tasks: int) -> Drained:
    from taskiq.receiver import Receiver

    watch = Stopwatch(tasks)

    @broker.task(task_name="trivial")
    async def trivial(payload: dict[str, str]) -> None:
        watch.count()

    broker.is_worker_process = True
    await broker.startup()
    for start in range(0, tasks, PLACES):
        await asyncio.gather(*(trivial.kiq(PAYLOAD) for _ in range(min(PLACES, tasks - start))))
    receiver = Receiver(broker, max_async_tasks=PLACES, max_prefetch=PLACES, run_startup=False)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(receiver.listen(over))
        await watch.finished.wait()
        over.set()
        listening.cancel()
    await broker.shutdown()
    assert watch.result is not None
    return watch.result


async def faststream_redis(url: str, tasks: int) -> Drained:
    """FastStream with a Redis stream and a group."""
    from faststream.redis import RedisBroker, StreamSub

    watch, name = Stopwatch(tasks), uuid4().hex
    broker = RedisBroker(url, logger=None)
    sub = broker.subscriber(stream=StreamSub(name, group="g", consumer="c", last_id=">"), max_workers=PLACES)

    @sub
    async def trivial(payload: dict[str, str]) -> None:
        watch.count()

    await broker.connect()
    for start in range(0, tasks, PLACES):
        await asyncio.gather(*(broker.publish(PAYLOAD, stream=name) for _ in range(min(PLACES, tasks - start))))
    from redis.asyncio import Redis

    async with Redis.from_url(url) as client:
        await client.xgroup_create(name, "g", id="0", mkstream=True)
    return await _faststream(broker, watch)


async def faststream_nats(url: str, tasks: int) -> Drained:
    """FastStream with a JetStream pull consumer."""
    from faststream.nats import JStream, NatsBroker, PullSub

    watch, name = Stopwatch(tasks), uuid4().hex
    broker = NatsBroker(url, logger=None)
    stream = JStream(name=f"s{name}")

    @broker.subscriber(name, stream=stream, durable=f"d{name}", pull_sub=PullSub(batch_size=PLACES), max_workers=PLACES)
    async def trivial(payload: dict[str, str]) -> None:
        watch.count()

    await broker.connect()
    import nats

    client = await nats.connect(url)
    await client.jetstream().add_stream(name=f"s{name}", subjects=[name])
    await client.close()
    for start in range(0, tasks, PLACES):
        publishes = (
            broker.publish(PAYLOAD, subject=name, stream=f"s{name}") for _ in range(min(PLACES, tasks - start))
        )
        await asyncio.gather(*publishes)
    return await _faststream(broker, watch)


async def _faststream(broker: Any, watch: Stopwatch) -> Drained:
    await broker.start()
    await watch.finished.wait()
    await broker.stop()
    assert watch.result is not None
    return watch.result


async def saq_redis(url: str, tasks: int) -> Drained:
    """SAQ on Redis."""
    from saq import Queue, Worker

    watch = Stopwatch(tasks)
    queue = Queue.from_url(url, name=uuid4().hex)

    async def trivial(_context: object, *, payload: dict[str, str]) -> None:
        watch.count()

    await queue.connect()
    for start in range(0, tasks, PLACES):
        await asyncio.gather(*(queue.enqueue("trivial", payload=PAYLOAD) for _ in range(min(PLACES, tasks - start))))
    worker = Worker(queue, functions=[("trivial", trivial)], concurrency=PLACES)
    async with asyncio.TaskGroup() as group:
        working = group.create_task(worker.start())
        await watch.finished.wait()
        await worker.stop()
        working.cancel()
    await queue.disconnect()
    assert watch.result is not None
    return watch.result


Peer = Callable[[str, int], Awaitable[Drained]]

PEERS: dict[str, tuple[str, str, Peer]] = {
    "redis-py streams, by 64": ("redis", "redis", raw_redis),
    "nats-py JetStream, by 128": ("nats", "nats", raw_nats),
    "taskiq-redis": ("redis", "taskiq_redis", taskiq_redis),
    "taskiq-nats": ("nats", "taskiq_nats", taskiq_nats),
    "FastStream Redis": ("redis", "faststream", faststream_redis),
    "FastStream NATS": ("nats", "faststream", faststream_nats),
    "SAQ": ("redis", "saq", saq_redis),
}
"""By name: the server that it needs, the package that it needs, and what measures it."""


def installed(package: str) -> bool:
    """Tell whether a peer is there to be measured."""
    return importlib.util.find_spec(package) is not None
