"""The process that decodes event logs, as its owner sees it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO, Self, cast

from aurora.ingest.reading import event_log_decoder
from aurora.ingest.reading.event_log_decoder import END, HEAD


class DecoderDied(Exception):
    """The process ended in the middle of a chunk: for want of memory, of time, or by a fault of the library."""


class Decoder:
    """Decodes chunks, one after the other. The process starts with the first, and again after a death."""

    def __init__(self, *, max_record_bytes: int) -> None:
        self._limit = max_record_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def answers(self, chunk: bytes) -> Generator[tuple[bytes, bytes], None, None]:
        """Yield kind and text of every record of a chunk of `CHUNK_BYTES`, in order.

        Raises:
            DecoderDied: there are no more answers for this chunk; the next may be asked.
        """
        process = self._process or self._start()
        is_over = False
        try:
            source, target = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stdin)
            try:
                target.write(chunk)
                target.flush()
            except BrokenPipeError:
                raise DecoderDied from None
            while len(head := source.read(HEAD.size)) == HEAD.size:
                kind, size = HEAD.unpack(head)
                if kind == END:
                    is_over = True
                    return
                yield kind, source.read(size)
            raise DecoderDied
        finally:
            if not is_over:
                self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        found = importlib.util.find_spec("evtx")
        if found is None or found.origin is None:
            raise ModuleNotFoundError("the library evtx, which Aurora depends on, is not installed", name="evtx")
        folder = Path(found.origin).parents[1]
        # Isolated and without site packages: it starts three times as fast, and finds only what it is given.
        command = [sys.executable, "-I", "-S", event_log_decoder.__file__, str(folder), str(self._limit)]
        self._process = subprocess.Popen(  # noqa: S603 - this very Python with a file of this package
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=1 << 18,
        )
        return self._process

    def _end(self) -> None:
        """End the process at once: it holds nothing that anybody needs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdout, process.stdin):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        process.wait()
