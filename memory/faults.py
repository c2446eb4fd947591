"""What the drivers of a database raise, as errors of ours. The one place where that is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from aurora.kernel.errors import Conflict, StorageError, StorageUnavailable

_PASSING = ("08", "40", "53", "57", "55P03")
"""Beginnings of SQLSTATE: connection lost, rolled back (deadlock), out of resources, shutting down, locked.

PostgreSQL's documentation, appendix A."""
_PASSING_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""Of SQLite, without what they add in their higher bits."""
_CLASHES = "23"
"""Beginning of SQLSTATE: a constraint refused."""
_READ_ONLY = "25006"


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what a driver raises, itself or by way of SQLAlchemy, into an error of ours.

    Messages are the first line of the driver's: no values, which it puts into the second.

    Raises:
        StorageUnavailable: the database is locked, gone or full; the same may work later.
        StorageError: it may only be read, or refused for good.
        Conflict: a constraint refused; somebody else wrote the same row.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error, PoolTimeout) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise _told(error, cause) from error
    except OSError as error:  # TimeoutError is one of them
        raise StorageUnavailable(f"the database cannot be reached: {error.strerror or _first_line(error)}") from error


def _told(error: Exception, cause: BaseException) -> Conflict | StorageError:
    why = _first_line(cause)
    state = getattr(cause, "sqlstate", None)  # PostgreSQL's
    state = state if isinstance(state, str) else ""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if isinstance(cause, sqlite3.IntegrityError) or state.startswith(_CLASHES):
        return Conflict(f"what is there already does not go with what was to be written: {why}")
    if code == sqlite3.SQLITE_READONLY or state == _READ_ONLY:
        return StorageError(f"the database may only be read: {why}; let this process write to it")
    if code:
        passes = code in _PASSING_CODES
    elif state:
        passes = state.startswith(_PASSING)
    elif isinstance(error, DBAPIError):
        passes = error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)
    else:
        passes = isinstance(error, PoolTimeout)
    return (StorageUnavailable if passes else StorageError)(f"the database refused: {why}")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
