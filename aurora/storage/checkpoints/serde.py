"""Checkpoint bytes that cannot run code, whoever wrote them."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from aurora.kernel.errors import StorageError

_TYPES = frozenset({"null", "bytes", "bytearray", "msgpack"})


class StrictSerializer(JsonPlusSerializer):
    """Msgpack with LangGraph's list of safe types and nothing else, whatever the environment says.

    A type that is not on the list comes back as the plain data it was made of. The old `json` and
    `pickle` forms, which can name any class to call, are refused: this saver never wrote them.
    """

    def __init__(self) -> None:
        super().__init__(pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of stored bytes.

        Raises:
            StorageError: the form is not one that this saver writes, or the bytes are damaged.
        """
        if data[0] not in _TYPES:
            raise StorageError("a stored checkpoint value has a form that is refused", form=data[0][:32])
        try:
            return super().loads_typed(data)
        except ValueError as damaged:
            raise StorageError("a stored checkpoint value cannot be decoded", size_bytes=len(data[1])) from damaged
