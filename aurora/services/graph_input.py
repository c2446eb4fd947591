"""What a graph is given to begin with: read from the command line, and held against the type of its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from aurora.kernel.errors import ContentInvalid, InputError, SourceUnreadable
from aurora.sdk.spec import GraphSpec

Json = dict[str, Any]

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def read_input(words: Sequence[str], *, spec: GraphSpec, stdin: BinaryIO | None, limit_bytes: int) -> Json:
    """Return the state with which a run begins.

    Args:
        words: Nothing; JSON text; `@file.json`; `-` for standard input; or pairs of `key=value`. The value of a
            pair is text where the key takes text, JSON otherwise.
        spec: The graph; its state type says which keys there are, and what each takes.
        stdin: Standard input, if there is one.
        limit_bytes: Longest file or stream.

    Raises:
        InputError: it is no JSON object, or does not fit the state; the message lists every fault.
        SourceUnreadable: the file cannot be read.
    """
    if len(words) == 1 and (words[0] == "-" or words[0].startswith("@")):
        given = _object(_read(words[0], stdin=stdin, limit_bytes=limit_bytes), words[0])
    elif len(words) == 1 and words[0].lstrip().startswith("{"):
        given = _object(words[0].encode("utf-8", "surrogateescape"), "the argument")
    else:
        given = _pairs(words, state_types(spec))
    check_input(spec, given)
    return given


def check_input(spec: GraphSpec, given: Mapping[str, Any]) -> None:
    """Return if every key is one of the graph's state and every value of the JSON type that it takes.

    Raises:
        InputError: the message lists every fault, and what is allowed.
    """
    types = state_types(spec)
    faults = [fault for key, value in given.items() for fault in _faults(key, value, types)]
    if faults:
        lines = "\n".join(f"- {fault}" for fault in faults)
        raise InputError(
            f"graph '{spec.id}' cannot begin with this, so nothing was submitted:\n{lines}",
            graph=spec.id,
            faults=len(faults),
        )


def state_types(spec: GraphSpec) -> dict[str, Any]:
    """Return the keys of a graph's state, in their order, with the type of each.

    Raises:
        ContentInvalid: an annotation names what cannot be found.
    """
    try:
        return get_type_hints(spec.state, include_extras=True)
    except (NameError, TypeError) as error:
        raise ContentInvalid(
            f"{spec.file}: graph '{spec.id}': the types of its state cannot be found: {error}; import them where the "
            "state is defined, not under TYPE_CHECKING"
        ) from error


def _read(word: str, *, stdin: BinaryIO | None, limit_bytes: int) -> bytes:
    if word == "-" and stdin is None:
        raise SourceUnreadable("there is no standard input to read")
    path = word.removeprefix("@")
    try:
        if stdin is not None and word == "-":
            content = stdin.read(limit_bytes + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(limit_bytes + 1)
    except OSError as error:
        raise SourceUnreadable(f"{path}: {(error.strerror or type(error).__name__).lower()}") from error
    if len(content) > limit_bytes:
        raise InputError(f"the input is longer than {limit_bytes} bytes (ingest.max_record_bytes)")
    return content


def _object(content: bytes, where: str) -> Json:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f'{where} is no JSON at {place}; give an object such as \'{{"key": "value"}}\'') from None
    if not isinstance(found, dict):
        raise InputError(f"{where} must hold a JSON object, not {_kind(found)}")
    return found


def _pairs(words: Sequence[str], types: Mapping[str, Any]) -> Json:
    given: Json = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(
                f"{word[:40]!r} is no input: give key=value pairs, JSON text, @file.json, or - for standard input"
            )
        if key in given:
            raise InputError(f"{key[:40]!r} is given twice")
        given[key] = _value(text, types.get(key, Any))
    return given


def _value(text: str, type_: Any) -> Any:
    """Return text as it stands where that fits and is not taken by everything, else as the JSON it is."""
    adapter = _adapter(type_)
    if type_ is not Any and adapter is not None and _fits(adapter, text):
        return text
    try:
        return orjson.loads(text.encode("utf-8", "surrogateescape"))
    except orjson.JSONDecodeError:
        return text


def _faults(key: str, value: Any, types: Mapping[str, Any]) -> Iterator[str]:
    if key not in types:
        yield f"{key[:40]!r} is no key of its state, which has {', '.join(sorted(types))}"
        return
    try:
        content = orjson.dumps(value)
    except TypeError as error:  # text that is no Unicode, a number beyond 64 bits, or no JSON value at all
        yield f"{key!r} cannot be kept as JSON: {error}"
        return
    adapter = _adapter(types[key])
    if adapter is None:
        return
    try:
        adapter.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = _place(value, first["loc"])
        reason = f"; at {key}{place}: {first['msg'].lower()}" if place else f", but is {_kind(value)}"
        yield f"{key!r} must be {_told(adapter)}{reason}"


def _place(value: Any, loc: Sequence[int | str]) -> str:
    """Return where within a value a fault is; the branches of a union, which pydantic names too, are left out."""
    place = ""
    for part in loc:
        if isinstance(part, int) and isinstance(value, list):
            place, value = f"{place}[{part}]", value[part] if part < len(value) else None
        elif isinstance(value, dict) and "[" not in str(part):
            place, value = f"{place}.{part}", value.get(part)
    return place


def _fits(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_json(orjson.dumps(text), strict=True)
    except (ValidationError, TypeError):
        return False
    return True


def _adapter(type_: Any) -> TypeAdapter[Any] | None:
    """Return what checks a value; `None` for a type that is not made of JSON, whose node must judge itself."""
    try:
        return TypeAdapter(type_)
    except PydanticUserError:
        return None


def _told(adapter: TypeAdapter[Any]) -> str:
    """Return in words what JSON a type takes."""
    try:
        schema = adapter.json_schema()
    except PydanticUserError:
        return "of another kind"
    if "$ref" in schema:
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return "one of " + ", ".join(orjson.dumps(each).decode() for each in schema["enum"])
    if "const" in schema:
        return orjson.dumps(schema["const"]).decode()
    options = schema.get("anyOf") or [schema]
    return " or ".join(_WORDS.get(each.get("type", ""), "an object") for each in options)


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), "null")
