"""What a wake-up says: ids and routing of a task, signed. What the task is about stays in the database. Pure."""

from __future__ import annotations

import hmac
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from aurora.dispatch.messages import MAX_BYTES, Message, encoded
from aurora.kernel.canonical import canonical, digest
from aurora.kernel.errors import MessageInvalid
from aurora.kernel.ids import TaskId
from aurora.kernel.models.task import Lane, Task
from aurora.kernel.untrusted import clean

VERSION: Final = 1

_VERSION = orjson.dumps(VERSION)

_DOMAIN = b"aurora envelope\0"
"""Begins all that is signed: a signature made for anything else with the same key is none of an envelope."""

_LONGEST_CLAIM = 2**31 - 1
"""Attempts and epochs are 32-bit numbers in the database."""

Text = Annotated[str, Field(max_length=512)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Payload(BaseModel):
    """Where the input of a task is, and what it must be; it never travels."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    ref: Text
    """`task/<id>`: the input of that row."""
    sha256: Hash
    """Of the input as canonical JSON (`aurora.kernel.canonical`)."""
    size_bytes: int = Field(ge=0)


class Envelope(BaseModel):
    """A task as a wake-up names it. A hint: what counts is the row, which the worker must claim first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = VERSION
    task_id: TaskId
    tenant: Text
    graph: Text
    thread_id: Text
    agent_type: Text | None = None
    priority: int = Field(ge=0, le=9)
    idempotency_key: Text
    deadline: AwareDatetime | None = None
    attempt: int = Field(ge=0, le=_LONGEST_CLAIM)
    epoch: int = Field(ge=0, le=_LONGEST_CLAIM)
    traceparent: Text | None = None
    correlation: dict[Text, Text] = Field(default_factory=dict)
    """What else it belongs to, such as `case_id`: for people and traces. Never has a key of the router's own."""
    payload: Payload | None = None
    """`None`: it begins with its alert."""
    created_at: AwareDatetime

    @field_validator("correlation")
    @classmethod
    def _leaves_our_keys_alone(cls, correlation: dict[str, str]) -> dict[str, str]:
        if taken := sorted(_OUR_KEYS & correlation.keys()):
            raise ValueError(f"has keys of the router: {', '.join(taken)}")
        return correlation

    @property
    def lane(self) -> Lane:
        """How urgent the task is."""
        return Lane.of(self.priority)

    @classmethod
    def of(cls, task: Task) -> Envelope:
        """Return the envelope of a task; correlation under a name of the router's own is left out.

        Raises:
            MessageInvalid: a field of the task is longer than an envelope may say, or its input is no JSON.
        """
        try:
            return cls(
                task_id=task.id,
                tenant=task.tenant,
                graph=task.graph,
                thread_id=task.thread_id,
                agent_type=task.agent_type,
                priority=task.priority,
                idempotency_key=task.idempotency_key,
                deadline=task.deadline,
                attempt=task.attempt,
                epoch=task.epoch,
                traceparent=task.traceparent,
                correlation={key: value for key, value in task.correlation.items() if key not in _OUR_KEYS},
                payload=None if task.input is None else _payload(task.id, task.input),
                created_at=task.created_at,
            )
        except ValidationError as error:
            raise _unusable(error) from None
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageInvalid(f"the input of the task is no JSON: {type(error).__name__}") from error


_SEALS = frozenset({"kid", "sig"})
_OUR_KEYS = frozenset(Envelope.model_fields) | _SEALS | {"lane", "stream", "group"}


class Signer:
    """Seals envelopes that go out and opens those that come in. Pure.

    Args:
        key: Secret that producers and workers share. `None`: nothing is signed, and nothing is checked but form.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = None if key is None else key.encode()
        self.key_id = None if self._key is None else hmac.digest(self._key, b"aurora key id", "sha256")[:8].hex()
        """Names the key, and tells nothing of it."""

    def seal(self, envelope: Envelope) -> Message:
        """Return the message of an envelope. The same envelope and key give the same message, and so the same id.

        Raises:
            MessageInvalid: it takes more than 64 KiB, or holds text that is none.
        """
        content: dict[str, Any] = envelope.model_dump()
        if self._key is None:
            return encoded(content)
        content["kid"] = self.key_id
        content["sig"] = _signature(self._key, encoded(content).data)
        return encoded(content)

    def open(self, data: bytes) -> Envelope:
        """Return the envelope that some bytes from outside are.

        Only the one spelling that `seal` writes is taken: no blanks, no key twice, no number written otherwise.

        Raises:
            MessageInvalid: they are none, or not signed with our key. `context["fault"]` has one word for it:
                `too_large`, `not_json`, `not_canonical`, `version`, `unsigned`, `signature`, `fields`.
        """
        if len(data) > MAX_BYTES:
            raise _refused("too_large", f"it takes {len(data)} bytes, at most {MAX_BYTES} are allowed")
        try:
            content = orjson.loads(data)  # refuses what is nested deeper than 1,024 levels
        except ValueError:
            raise _refused("not_json", "it is no JSON") from None
        if not isinstance(content, dict):
            raise _refused("not_json", "it is no JSON object")
        if _rewritten(content) != data:
            raise _refused("not_canonical", "it is not written as canonical JSON")
        if orjson.dumps(content.get("v")) != _VERSION:  # not `==`: 1.0 and True are 1
            raise _refused("version", f"its version is unknown; this worker knows version {VERSION}")
        self._verify(content)
        body = orjson.dumps({key: value for key, value in content.items() if key not in _SEALS})
        try:
            return Envelope.model_validate_json(body)
        except ValidationError as error:
            raise _unusable(error) from None

    def _verify(self, content: dict[str, Any]) -> None:
        if self._key is None:
            return
        signature = content.get("sig")
        if not isinstance(signature, str):
            raise _refused("unsigned", "it is not signed")
        signed = {key: value for key, value in content.items() if key != "sig"}
        expected = _signature(self._key, orjson.dumps(signed, option=orjson.OPT_SORT_KEYS))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            is_other = content.get("kid") != self.key_id
            raise _refused("signature", "it is signed with another key" if is_other else "its signature is wrong")


def _rewritten(content: dict[str, Any]) -> bytes | None:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # nested deeper than orjson writes, which is less deep than it reads
        return None


def _signature(key: bytes, data: bytes) -> str:
    return hmac.digest(key, _DOMAIN + data, "sha256").hex()


def _payload(task_id: TaskId, input: dict[str, Any]) -> Payload:
    data = canonical(input)
    return Payload(ref=f"task/{task_id}", sha256=digest(data), size_bytes=len(data))


def _refused(fault: str, reason: str) -> MessageInvalid:
    return MessageInvalid(f"the envelope was refused: {reason}", fault=fault)


def _unusable(error: ValidationError) -> MessageInvalid:
    first = error.errors(include_url=False, include_input=False)[0]
    place = clean(".".join(str(part) for part in first["loc"]))[:80]
    return _refused("fields", f"{place}: {first['msg']}"[:300])
