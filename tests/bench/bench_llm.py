"""What a model that answers at once costs a triage in CPU: two calls, no tools, with framing, journal and checks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from langchain_core.messages import BaseMessage

from aurora.kernel.clock import SystemClock
from aurora.llm.open import Models, open_models
from aurora.settings import ModelSettings
from aurora.testing.worst_case import WorstCase
from tests.bench.measurement import Measurement
from tests.llm_kit import ALONE, GOOD, MemoryJournal, agents_of
from tests.llm_server import completion

WARM_UP = 20
ASKS = 100
ROUNDS = 5
GOAL_MS = 10.0

DOSSIER = {
    "alert": {"title": "ET MALWARE CnC Beacon", "severity": "high", "time": "2026-11-22T12:00:00Z"},
    "evidence": [
        {
            "id": f"f{n}",
            "kind": "field",
            "provenance": "attacker_writable",
            "text": f"url <a href='x'> {'/path' * 20} {n}",
        }
        for n in range(40)
    ],
}


class AtOnce(WorstCase):
    """Answers without waiting: a thought, then the answer."""

    def reply(self, messages: list[BaseMessage], tools: list[str]) -> Any:
        return "Looks harmless: f1." if len(messages) == 2 else json.dumps(GOOD)


@asynccontextmanager
async def in_process() -> AsyncIterator[Models]:
    """A model in this process."""
    async with open_models(ModelSettings(name="scripted:model"), clock=SystemClock(), chat=AtOnce()) as models:
        yield models


@asynccontextmanager
async def over_loopback() -> AsyncIterator[Models]:
    """The real client of OpenAI, and a server in a process of its own."""
    server = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop yet
        [sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        settings = ModelSettings(name="openai:scripted", url=url, deadline=timedelta(seconds=10))
        async with open_models(settings, clock=SystemClock()) as models:
            yield models
    finally:
        server.terminate()
        server.wait()


async def cpu_ms(models: Models) -> float:
    """Return the CPU of one ask: the median of a few rounds, this process alone."""
    agents = [agents_of(models.model, MemoryJournal()) for _ in range(WARM_UP + ASKS * ROUNDS)]

    async def ask() -> None:
        answer = await agents.pop().ask(ALONE, DOSSIER)
        assert answer.value is not None, answer.failure

    for _ in range(WARM_UP):
        await ask()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(ASKS):
            await ask()
        rounds.append((time.process_time() - began) / ASKS * 1000)
    return statistics.median(rounds)


async def run() -> list[Measurement]:
    """Measure both ways."""
    ways = {"in process": in_process, "over loopback": over_loopback}
    measured = []
    for name, opened in ways.items():
        async with opened() as models:
            value = await cpu_ms(models)
        measured.append(
            Measurement(
                name=f"model that answers at once, {name}, CPU added to a triage",
                value=round(value, 2),
                unit="ms",
                better="lower",
                peer="goal",
                peer_value=GOAL_MS,
            )
        )
    return measured


async def serve() -> None:
    """Serve both answers for ever, on connections that are kept; the first line of output is where."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                sent = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                body = await reader.readexactly(int(sent.partition("content-length:")[2].split("\r\n")[0]))
                thinks = len(json.loads(body)["messages"]) == 2
                text = json.dumps(completion("Looks harmless: f1." if thinks else json.dumps(GOOD)))
                named = f"Content-Type: application/json\r\nContent-Length: {len(text)}"
                writer.write(f"HTTP/1.1 200 OK\r\n{named}\r\n\r\n{text}".encode())

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
