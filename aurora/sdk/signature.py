"""From a typed function to what a model may call it with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

CONTEXT = "context"
"""The argument that the runtime gives; a model never sees it."""


def parameters_of(function: Callable[..., Any], *, name: str) -> type[BaseModel]:
    """Return a strict pydantic model of a function's arguments, `context` left out.

    Types, defaults and `Annotated[…, Field(description=…)]` become the JSON schema that a model reads.

    Args:
        function: The function; its annotations must resolve.
        name: Title of the schema.

    Raises:
        TypeError: an argument has no type, or takes any number of values.
        NameError: an annotation names what cannot be found.
    """
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for argument in inspect.signature(function).parameters.values():
        if argument.name == CONTEXT:
            continue
        if argument.kind in {argument.VAR_POSITIONAL, argument.VAR_KEYWORD, argument.POSITIONAL_ONLY}:
            raise TypeError(f"argument {argument.name!r} must be one that is given by name")
        if argument.name not in hints:
            raise TypeError(f"argument {argument.name!r} has no type")
        default = ... if argument.default is argument.empty else argument.default
        fields[argument.name] = (hints[argument.name], default)
    # Not `strict=True`: JSON knows no dates and no enums, so text must become them.
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **fields)
