"""Do the health end-points of a worker tell the truth while its database comes and goes?"""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.error
import urllib.request

from tests.faults.process import Place
from tests.faults.servers import Server
from tests.faults.table import Row
from tests.faults.trial import opened

PATIENCE_S = 20.0
"""How long an answer may be out of date."""


async def truth(place: Place, server: Server) -> Row:
    """Kill the database under a worker and start it again; ask the worker what it says meanwhile (I12)."""
    row = Row(fault="health end-points, PostgreSQL killed, restarted", where=place.label, trials=1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with opened(place) as trial:
        trial.worker(health_port=port)
        trial.producer(20, pause_s=0.05)
        for moment, ready in (("before", 200), ("while it is away", 503), ("after", 200)):
            if moment == "while it is away":
                server.kill()
            elif moment == "after":
                server.start()
            began = time.monotonic()
            answer = await _becomes(port, "/readyz", ready)
            if answer != ready:
                row.faults.append(f"I12: {moment}: /readyz says {answer}, not {ready}, after {PATIENCE_S:g} s")
            elif moment != "before":
                row.recoveries_s.append(time.monotonic() - began)
            if (live := await asyncio.to_thread(_ask, port, "/livez")) != 200:
                row.faults.append(f"I12: {moment}: /livez says {live}: to start the worker anew would help nobody")
        if await asyncio.to_thread(_ask, port, "/metrics") != 200:
            row.faults.append("I12: there are no metrics")
        await trial.judge(row)
    return row


async def _becomes(port: int, path: str, wanted: int) -> int:
    """Ask until the answer is as wanted, or time is up; return the last one."""
    until = time.monotonic() + PATIENCE_S
    while True:
        answer = await asyncio.to_thread(_ask, port, path)
        if answer == wanted or time.monotonic() > until:
            return answer
        await asyncio.sleep(0.2)


def _ask(port: int, path: str) -> int:
    """Return the status of an answer; 0: there was none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0
