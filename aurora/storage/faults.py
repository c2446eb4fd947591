"""Which errors of a database mean that the same call may work later."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from aurora.kernel.errors import StorageUnavailable

_PASSING = ("08", "40", "53", "57", "55P03")
"""Beginnings of SQLSTATE: connection lost, rolled back (deadlock), out of resources, shutting down or starting, locked.

PostgreSQL's documentation, appendix A. asyncpg's own classes do not tell: SQLAlchemy makes a bare `DBAPIError`
of most of them.
"""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what the drivers raise when the database is locked, gone or full into one error.

    Raises:
        StorageUnavailable: the body failed for such a reason; its transaction was rolled back.
    """
    try:
        yield
    except OSError as error:  # TimeoutError is one of them
        raise StorageUnavailable(f"the database cannot be reached: {error.strerror or _first_line(error)}") from error
    except Exception as error:
        if not _is_passing(error):
            raise
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        raise StorageUnavailable(f"the database refused: {_first_line(cause)}") from error


def _is_passing(error: Exception) -> bool:
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | sqlite3.OperationalError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if isinstance(state, str):
        return state.startswith(_PASSING)
    # asyncpg is optional, so its errors are known by name: it raises this one when the server hangs up in mid-answer.
    return any(kind.__name__ == "InternalClientError" for kind in type(cause).__mro__)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
