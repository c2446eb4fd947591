"""Envelopes: what is sealed can be opened, and nothing else can."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aurora.dispatch.envelope import Envelope, Signer
from aurora.dispatch.messages import MAX_BYTES
from aurora.kernel.canonical import canonical, digest
from aurora.kernel.errors import MessageInvalid
from aurora.kernel.models.task import Lane, Task

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "only for tests: thirty-two characters at least"


def a_task(**changes: Any) -> Task:
    return Task.model_validate(
        {
            "id": UUID(int=1),
            "tenant": "acme",
            "run_id": UUID(int=2),
            "graph": "triage",
            "thread_id": "triage:1",
            "created_at": NOON,
            "idempotency_key": "alert:1",
            "priority": 8,
            **changes,
        }
    )


@pytest.fixture(params=[None, KEY], ids=["unsigned", "signed"])
def signer(request: pytest.FixtureRequest) -> Signer:
    return Signer(request.param)


def changed(data: bytes, **changes: Any) -> bytes:
    """Return canonical JSON with some keys changed; `...` removes one."""
    content = {**orjson.loads(data), **changes}
    return orjson.dumps({k: v for k, v in content.items() if v is not ...}, option=orjson.OPT_SORT_KEYS)


def fault_of(signer: Signer, data: bytes) -> object:
    with pytest.raises(MessageInvalid, match="the envelope was refused") as refused:
        signer.open(data)
    return refused.value.context["fault"]


class TestWhatItSays:
    def test_a_sealed_envelope_opens_as_what_it_was(self, signer):
        envelope = Envelope.of(
            a_task(
                agent_type="dns",
                deadline=NOON + timedelta(hours=1),
                attempt=2,
                epoch=3,
                traceparent="00-1-2-01",
                correlation={"case_id": "c1"},
                input={"text": "naïve \0 🦉"},
            )
        )

        opened = signer.open(signer.seal(envelope).data)

        assert opened == envelope
        assert (opened.lane, opened.attempt, opened.epoch) == (Lane.HIGH, 2, 3)

    def test_the_input_stays_where_it_is_and_is_named_by_its_hash(self, signer):
        task = a_task(input={"secret": "geheim"})

        message = signer.seal(Envelope.of(task))

        assert b"geheim" not in message.data
        assert orjson.loads(message.data)["payload"] == {
            "ref": f"task/{task.id}",
            "sha256": digest(canonical(task.input)),
            "size_bytes": len(canonical(task.input)),
        }

    def test_correlation_never_takes_the_place_of_a_key_of_the_router(self):
        correlation = {"case_id": "c1", "tenant": "evil", "lane": "critical", "sig": "x", "kid": "y"}

        envelope = Envelope.of(a_task(correlation=correlation))

        assert envelope.tenant == "acme"
        assert envelope.correlation == {"case_id": "c1"}

    def test_the_same_task_has_the_same_id_and_a_further_claim_another(self, signer):
        first, again, later = (signer.seal(Envelope.of(a_task(epoch=epoch))).id for epoch in (1, 1, 2))

        assert first == again != later

    def test_it_is_frozen_and_has_a_version(self):
        envelope = Envelope.of(a_task())

        assert envelope.v == 1
        with pytest.raises(ValidationError):
            envelope.tenant = "evil"

    @pytest.mark.parametrize(
        "changes",
        [{"thread_id": "x" * 513}, {"correlation": {"k": "x" * 513}}, {"input": {"x": object()}}],
        ids=["text", "correlation", "input"],
    )
    def test_a_task_that_no_envelope_can_name_is_told(self, changes):
        with pytest.raises(MessageInvalid):
            Envelope.of(a_task(**changes))

    def test_an_envelope_that_no_message_can_carry_is_told(self, signer):
        task = a_task(correlation={f"k{n}": "x" * 512 for n in range(200)})

        with pytest.raises(MessageInvalid, match="at most 65536"):
            signer.seal(Envelope.of(task))


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("data", "fault"),
        [
            (b"", "not_json"),
            (b"\xff\xfe", "not_json"),
            (b"\x80\x04\x95.", "not_json"),
            (b"null", "not_json"),
            (b"[1]", "not_json"),
            (b'{"v":' + b"1" * 60_000 + b"}", "not_json"),
            (b"[" * 60_000, "not_json"),
            (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "not_json"),
            (b'{"a":' * 500 + b"1" + b"}" * 500, "not_canonical"),
            (b'{"v":1,"v":1}', "not_canonical"),
            (b'{"v": 1}', "not_canonical"),
            (b'{"v":1e0}', "not_canonical"),
            (b'{"v":1,"a":1}', "not_canonical"),
            (b'{"v":18446744073709551616}', "not_canonical"),
            (b"{}", "version"),
            (b'{"v":2}', "version"),
            (b'{"v":true}', "version"),
            (b'{"v":1.0}', "version"),
            (b'{"v":"1"}', "version"),
            (b" " * (MAX_BYTES + 1), "too_large"),
        ],
        ids=lambda value: str(value[:12]) if isinstance(value, bytes) else value,
    )
    def test_bytes_from_a_stranger_are_refused_with_the_reason(self, signer, data, fault):
        assert fault_of(signer, data) == fault

    @pytest.mark.parametrize(
        "changes",
        [
            {"task_id": "no uuid"},
            {"task_id": 1},
            {"priority": 10},
            {"priority": "5"},
            {"attempt": -1},
            {"epoch": 1 << 40},
            {"created_at": "2026-11-22T12:00:00"},
            {"created_at": 0},
            {"tenant": ...},
            {"tenant": "x" * 513},
            {"more": 1},
            {"correlation": {"tenant": "evil"}},
            {"correlation": {"case_id": 1}},
            {"correlation": {"a": {"b": {}}}},
            {"payload": {"ref": "task/1", "sha256": "short", "size_bytes": 1}},
            {"payload": "task/1"},
        ],
        ids=str,
    )
    def test_fields_that_are_none_are_refused_without_being_shown(self, changes):
        data = changed(Signer().seal(Envelope.of(a_task())).data, **changes)

        assert fault_of(Signer(), data) == "fields"

    def test_a_reason_shows_nothing_that_a_terminal_would_obey(self):
        data = changed(Signer().seal(Envelope.of(a_task())).data, **{"\x1b[2Jkey": "\x1b[31mvalue"})

        with pytest.raises(MessageInvalid) as refused:
            Signer().open(data)

        assert "\x1b" not in str(refused.value)
        assert "value" not in str(refused.value)

    @given(st.binary(max_size=200))
    def test_no_bytes_make_it_fail_otherwise(self, data):
        for signer in (Signer(), Signer(KEY)):
            with pytest.raises(MessageInvalid):
                signer.open(data)

    @given(st.integers(min_value=0), st.integers(0, 255))
    def test_no_byte_of_a_signed_envelope_can_be_changed(self, place, byte):
        signer = Signer(KEY)
        envelope = Envelope.of(a_task(correlation={"case_id": "c1"}))
        data = bytearray(signer.seal(envelope).data)
        place %= len(data)
        data[place], before = byte, data[place]

        try:
            opened = signer.open(bytes(data))
        except MessageInvalid:
            opened = None

        assert opened == (envelope if byte == before else None), f"byte {place}"


class TestSignatures:
    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"sig": ...}, "unsigned"),
            ({"sig": None}, "unsigned"),
            ({"sig": 7}, "unsigned"),
            ({"sig": ""}, "signature"),
            ({"sig": "ü"}, "signature"),
            ({"sig": "0" * 64}, "signature"),
            ({"priority": 9}, "signature"),
            ({"tenant": "evil"}, "signature"),
            ({"more": 1}, "signature"),
            ({"kid": "other"}, "signature"),
            ({"kid": ...}, "signature"),
        ],
        ids=str,
    )
    def test_what_is_not_signed_with_our_key_is_refused(self, changes, fault):
        signer = Signer(KEY)

        assert fault_of(signer, changed(signer.seal(Envelope.of(a_task())).data, **changes)) == fault

    def test_an_envelope_without_signature_is_refused_where_there_is_a_key(self):
        assert fault_of(Signer(KEY), Signer().seal(Envelope.of(a_task())).data) == "unsigned"

    def test_another_key_is_told_apart_from_a_forgery(self):
        data = Signer(KEY + "2").seal(Envelope.of(a_task())).data

        with pytest.raises(MessageInvalid, match="signed with another key"):
            Signer(KEY).open(data)

    def test_without_a_key_a_signature_is_not_looked_at(self):
        envelope = Envelope.of(a_task())

        assert Signer().open(Signer(KEY).seal(envelope).data) == envelope

    def test_a_signature_over_the_same_bytes_for_another_purpose_is_none(self):
        signer = Signer(KEY)
        data = changed(Signer().seal(Envelope.of(a_task())).data, kid=signer.key_id)
        borrowed = hmac.digest(KEY.encode(), data, "sha256").hex()

        assert fault_of(signer, changed(data, sig=borrowed)) == "signature"

    def test_the_key_is_nowhere_in_the_message(self):
        signer = Signer(KEY)

        data = signer.seal(Envelope.of(a_task())).data

        assert KEY.encode() not in data
        assert signer.key_id not in KEY
