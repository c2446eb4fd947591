"""The part of a file's text that is in memory, and where in the file it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from aurora.ingest.reading.records import Fault, Reason
from aurora.kernel.errors import RecordRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Window:
    """A window over the text that slides forward only.

    Indexes are those of `data`. `more` moves the data, so that `pos` becomes 0 and every
    other index has to be taken anew.
    """

    def __init__(self, blocks: Iterator[bytes], *, restore: Callable[[bytes], bytes] | None) -> None:
        """Start before the first block.

        Args:
            blocks: The text as UTF-8; a block of transcoded text ends between two characters.
            restore: Gives the file's own bytes for a piece of text; `None` if they are the same.
        """
        self.data = b""
        self.pos = 0
        """Everything before is dealt with and may be dropped."""
        self.line = 1
        """Line of `pos`, from 1."""
        self.fault: Fault | None = None
        """Why the text ended before the file did, once it has."""
        self.transcoded = restore is not None
        self._blocks = blocks
        self._restore = restore
        self._hash = hashlib.sha256()
        self._sealed = 0  # everything before this index is in the hash
        self._sealed_offset = 0  # its place in the file
        self._ended = False

    def more(self) -> bool:
        """Read one block on, and drop what lies before `pos`; `False` at the end of the text."""
        if self._ended:
            return False
        try:
            block = next(self._blocks, None)
        except RecordRejected as cut:
            self.fault = Fault(cast("Reason", cut.reason), cut.message)
            block = None
        if block is None:
            self._ended = True
            return False
        if self._sealed < self.pos:
            self._seal(self.pos)
        self.data = self.data[self.pos :] + block
        self._sealed -= self.pos
        self.pos = 0
        return True

    def advance(self, to: int) -> None:
        """Move `pos` forward to index `to`, over any number of lines."""
        self.line += self.data.count(b"\n", self.pos, to)
        self.pos = to

    def key(self, end: int) -> bytes:
        """Return the SHA-256 of the file from its start to index `end`; never goes back."""
        self._seal(end)
        return self._hash.copy().digest()

    def offset(self, at: int) -> int:
        """Return the place in the file of index `at`, which must not lie before the last key's end."""
        piece = self.data[self._sealed : at] if self._restore else b""
        distance = len(self._restore(piece)) if self._restore else at - self._sealed
        return self._sealed_offset + distance

    def _seal(self, end: int) -> None:
        piece = self.data[self._sealed : end]
        if self._restore:
            piece = self._restore(piece)
        self._hash.update(piece)
        self._sealed_offset += len(piece)
        self._sealed = end
