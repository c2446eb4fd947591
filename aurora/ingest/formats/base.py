"""What every format offers.

A format of a *product* is lenient: an optional value that is missing is left out; one that is malformed
is left out too, and the field `aurora.unread` lists its dotted path. Only what an alert cannot do without
(each format says what that is) rejects the record. A moment that cannot be read leaves `time` empty and
is kept in the field `aurora.time_unreadable`: an alert of a sensor with a broken clock is still an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aurora.kernel.ids import AlertId
from aurora.kernel.models import Alert

Document = Mapping[str, Any]
"""One record, as the JSON parser gave it: untrusted in every part."""


class Format(Protocol):
    """One way in which a product writes alerts. Stateless: one object serves all records."""

    id: str
    title: str
    """Product family, for people."""

    def matches(self, document: Document) -> bool:
        """Tell by content whether the record is of this format. Cheap; never raises."""

    def context(self, document: Document) -> str | None:
        """Return the kind of a record of this format that is no alert (`flow`, `dns`), else `None`."""

    def normalise(self, document: Document, *, id: AlertId) -> Alert:
        """Return the alert that the record tells of.

        Raises:
            RecordRejected: something an alert cannot do without is missing or malformed; `field` names it.
        """


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of the value that `parts` lead to."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def dotted(path: str) -> str:
    """Return a JSON pointer as the dotted path that messages use: `/alert/metadata/0` is `alert.metadata.0`."""
    return path[1:].replace("/", ".").replace("~1", "/").replace("~0", "~")
