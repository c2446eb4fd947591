"""From what a model wrote to an answer in the agreed form, or to what is wrong with it. Pure.

Nothing is guessed: a trailing comma, two different answers or a number in quotes are faults, told to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from aurora.kernel.untrusted import quoted
from aurora.llm.request import Json
from aurora.llm.wire import harmless

DEEPEST = 16
"""Levels of brackets in an answer; more are not parsed."""

_MOST_OBJECTS = 8
_MOST_FAULTS = 8
_SHAPE = ("title", "default", "examples", "minLength", "maxLength", "pattern", "format", "discriminator")
"""What servers refuse in a schema, or make slow grammars of. The answer is checked for it anyway."""
_END_OF_THOUGHT = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with an answer."""

    field: str
    """Dotted path; empty: the answer as a whole."""
    problem: str


class Unusable(Exception):
    """What a model wrote is no answer."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def parse_answer(text: str, form: type[BaseModel]) -> BaseModel:
    """Return the one object in `text` that has the form. Chatter, fences and thoughts around it are skipped.

    Args:
        text: What the model wrote.
        form: What it was to answer with; JSON types must be right, not only convertible.

    Raises:
        Unusable: there is none, or more than one; its faults say so in words for the model.
    """
    if not text.strip():
        raise Unusable(Fault(field="", problem="you answered nothing"))
    found: dict[str, BaseModel] = {}
    faults: tuple[Fault, ...] = ()
    for source in _objects(_END_OF_THOUGHT.split(text)[-1]):
        try:
            value = _parsed(source)
            answer = form.model_validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            faults = faults or tuple(_faults(error))
        except Unusable as error:
            faults = faults or error.faults
        else:
            found.setdefault(answer.model_dump_json(), answer)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise Unusable(Fault(field="", problem="more than one JSON object could be the answer: give exactly one"))
    raise Unusable(*(faults or (Fault(field="", problem="it contains no complete JSON object"),)))


@lru_cache(maxsize=64)
def answer_schema(form: type[BaseModel]) -> Json:
    """Return the JSON schema of an answer in the narrow form that servers can hold a model to; not to be changed.

    Every object is closed and every property required: what has a default must be said too.
    """
    schema = _strict(form.model_json_schema())
    assert isinstance(schema, dict)
    return schema


@lru_cache(maxsize=64)
def described(form: type[BaseModel]) -> str:
    """Return the JSON schema of an answer as text for the prompt, with lengths and ranges."""
    return json.dumps(_untitled(form.model_json_schema()), separators=(",", ":"), sort_keys=True)


def _objects(text: str) -> Iterator[str]:
    """Yield the outermost `{…}` of a text, a few at most. Linear: each character is looked at a few times."""
    start, tries = text.find("{"), 0
    while start >= 0 and tries < _MOST_OBJECTS:
        tries += 1
        end = _end_of(text, start)
        if end is None:  # never closed: perhaps a brace of the chatter
            start = text.find("{", start + 1)
            continue
        yield text[start:end]
        start = text.find("{", end)


def _end_of(text: str, start: int) -> int | None:
    """Return where the object that begins at `start` ends."""
    depth, inside = 0, False
    for match in _MARKS.finditer(text, start):
        mark = match.group()
        if inside:
            inside = mark != '"'
        elif mark == '"':
            inside = True
        elif mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if depth == 0:
                return match.end()
    return None


_MARKS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


def _parsed(source: str) -> Any:
    if _depth(source) > DEEPEST:
        raise Unusable(Fault(field="", problem=f"it is nested more than {DEEPEST} levels deep"))
    try:
        return harmless(json.loads(source, object_pairs_hook=_once, parse_constant=_no_number, strict=False))
    except json.JSONDecodeError as error:
        problem = f"it is no valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise Unusable(Fault(field="", problem=problem)) from None
    except ValueError:  # Python refuses integers of more than 4,300 digits
        raise Unusable(Fault(field="", problem="it holds a number of thousands of digits")) from None


def _depth(source: str) -> int:
    depth = deepest = 0
    inside = False
    for match in _MARKS.finditer(source):
        mark = match.group()
        if mark == '"':
            inside = not inside
        elif not inside and mark in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif not inside and mark in "}]":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Unusable(Fault(field="", problem="an object says the same key twice"))
    return value


def _no_number(_name: str) -> NoReturn:
    raise Unusable(Fault(field="", problem="NaN and Infinity are no JSON numbers"))


def _faults(error: ValidationError) -> Iterator[Fault]:
    """Yield what is wrong, without what the model wrote: it may be quoting an attacker."""
    for each in error.errors(include_url=False, include_input=False, include_context=False)[:_MOST_FAULTS]:
        path = ".".join(str(part) if isinstance(part, int) or _FIELD.fullmatch(part) else "?" for part in each["loc"])
        yield Fault(field=path, problem=quoted(each["msg"], limit=200)[1:-1])


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {("anyOf" if key == "oneOf" else key): each for key, each in node.items() if key not in _SHAPE}
    for key in ("properties", "$defs"):
        if isinstance(node.get(key), dict):  # here keys are names, not words of the schema language
            kept[key] = {name: _strict(each) for name, each in node[key].items()}
    strict = {key: each if key in {"properties", "$defs"} else _strict(each) for key, each in kept.items()}
    if isinstance(node.get("properties"), dict):
        strict |= {"additionalProperties": False, "required": list(node["properties"])}
    return strict


def _untitled(node: Any) -> Any:
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    if isinstance(node, dict):
        return {key: _untitled(each) for key, each in node.items() if key != "title" or not isinstance(each, str)}
    return node
