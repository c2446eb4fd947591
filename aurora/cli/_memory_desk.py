"""What the commands of `aurora memory` share: options, the desk, and how moments are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from aurora.services.desk import Desk

FromSource = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="URI",
        show_default=False,
        help="All that came from this source, such as user:mallory or run:ID, in full; with * at the end, a beginning.",
    ),
]


async def asked(db: str | None, ask: Callable[[Desk, datetime], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Open the memory, ask it one thing, and close it."""
    from aurora.cli._options import opened

    async with opened(db) as runtime:
        return await ask(runtime.desk(runtime.storage.tenant, person=person()), runtime.clock.now())


def moment_or_none(text: str | None, option: str, now: datetime) -> datetime | None:
    """Return the moment that an option names; `None`: it is not given.

    Raises:
        InputError: it names none.
    """
    from aurora.services.memory import moment

    return None if text is None else moment(text, now=now, option=option)


def subject_or_none(text: str | None) -> str | None:
    """Return what an option names as a subject, spelled as alerts spell it; `None`: it is not given.

    Raises:
        InputError: it names none.
    """
    from aurora.services.memory import subject_of

    return None if text is None else subject_of(text)


def person() -> str:
    """Return who answers for what is added and taken away."""
    from aurora.cli._alerts import this_person

    return this_person()
