"""Log records as JSON, one object a line: for whoever collects the log of a service."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

from aurora.kernel.untrusted import clean

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonHandler(logging.Handler):
    """Writes `time`, `level`, `logger`, `event` and the record's fields, as far as they can be told in JSON.

    Args:
        stream: Where to; flushed after every line.
        tracebacks: Add the traceback of an error to its record.
    """

    def __init__(self, stream: TextIO, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._tracebacks = tracebacks

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._stream.write(self.line(record) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # whoever read the log has gone, or it is closed
            self.handleError(record)

    def line(self, record: logging.LogRecord) -> str:
        """Return a record as one line, harmless to a terminal."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields = {key: value for key, value in vars(record).items() if key not in _OWN and key not in told}
        kind = record.exc_info[0] if record.exc_info else None
        if kind is not None:
            fields["error"] = getattr(kind, "code", kind.__name__)
            if self._tracebacks and record.exc_info:
                fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        return clean(json.dumps({**told, **dict(sorted(fields.items()))}, default=str))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of the base class
        """Go on without a word: there is nowhere to say it."""
