"""What travels on the streams."""

from __future__ import annotations

from uuid import UUID

import pytest

from aurora.dispatch.messages import encoded
from aurora.kernel.errors import MessageInvalid


class DriversOwn(UUID):
    """As the PostgreSQL driver has one."""


def test_ids_are_told_as_text_whichever_class_a_driver_has_for_them() -> None:
    plain = UUID(int=5)

    assert encoded({"id": DriversOwn(int=5)}) == encoded({"id": plain}) == encoded({"id": str(plain)})


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(MessageInvalid, match="set"):
        encoded({"ids": {1, 2}})
