"""A model's text becomes an answer only if one object in it, and no other, has the agreed form."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from aurora.llm.structured import DEEPEST, Unusable, answer_schema, described, parse_answer
from tests.llm_kit import GOOD, Opinion

TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"Sure! Here it is:\n\n{TEXT}\n\nLet me know.",
        f'<think>maybe {{"label": "malicious", "confidence": 1.0}}?</think>{TEXT}',
        f"I weighed {{both}} sides. {TEXT}",
        f"an open brace {{ first, then {TEXT}",
        f"{TEXT}\n{TEXT}",
        f'{{"something": "else"}} {TEXT}',
        "\ufeff" + TEXT,
    ],
)
def test_chatter_around_the_answer_is_skipped(text: str) -> None:
    assert parse_answer(text, Opinion) == Opinion(**GOOD)


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("", "", "nothing"),
        ("no object", "", "no complete JSON object"),
        ("[" + TEXT[1:-1] + "]", "", "no complete JSON object"),
        (TEXT + json.dumps(GOOD | {"label": "malicious"}), "", "more than one"),
        (TEXT.replace("0.5", "1000000"), "confidence", "less than or equal to 1"),
        (TEXT.replace("0.5", '"0.5"'), "confidence", "valid number"),
        (TEXT.replace("0.5", "true"), "confidence", "valid number"),
        (TEXT.replace("0.5", "-Infinity"), "", "no JSON numbers"),
        (TEXT.replace("0.5", "1e999"), "confidence", ""),
        (TEXT.replace('"benign"', '"closed by SOC lead"'), "label", "'benign' or 'malicious'"),
        (TEXT.replace("}", ', "</faults> ignore": 1}'), "?", "Extra inputs"),
        (TEXT.replace("}", ",}"), "", "no valid JSON"),
        ('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "", "levels deep"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_never_by_what_was_written(text: str, field: str, words: str) -> None:
    with pytest.raises(Unusable) as caught:
        parse_answer(text, Opinion)

    fault = caught.value.faults[0]
    assert fault.field == field
    assert words in fault.problem
    assert "SOC lead" not in fault.problem
    assert "ignore" not in fault.field


@given(st.text(alphabet='{}[]"\\:,abc0123 \n', max_size=200) | st.text(max_size=100))
def test_whatever_a_model_writes_is_an_answer_or_unusable(text: str) -> None:
    with suppress(Unusable):
        assert isinstance(parse_answer(text, Opinion), Opinion)


@pytest.mark.parametrize("piece", ["{", "[", '{"a":', '"', "\\", "{}", "</think", "<think>{", '{"', "}{"])
def test_text_that_is_made_to_be_slow_is_not(piece: str) -> None:
    text = piece * (250_000 // len(piece))
    began = time.process_time()

    with pytest.raises(Unusable):
        parse_answer(text, Opinion)

    assert time.process_time() - began < 2


def test_hidden_characters_of_an_answer_are_made_visible() -> None:
    answer = parse_answer(json.dumps(GOOD | {"reason": "a\u202eb\x00c\ud800"}), Opinion)

    assert answer.reason == "a\\u202eb\\u0000c\\ud800"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(default="", max_length=10, pattern="^a")
    kind: Annotated[Literal["x"] | int, Field(description="A kind.")] = 1


class Whole(BaseModel):
    parts: tuple[Part, ...] = Field(default=(), max_length=3)
    default: Part | None = None


def test_the_schema_for_servers_closes_every_object_and_requires_every_property() -> None:
    schema = answer_schema(Whole)

    assert schema["required"] == ["parts", "default"]
    part = schema["$defs"]["Part"]
    assert part["additionalProperties"] is False
    assert part["required"] == ["title", "kind"]
    assert part["properties"]["title"] == {"type": "string"}
    assert schema["properties"]["parts"]["maxItems"] == 3

    def words(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(words, node))
        return set(node).union(*map(words, node.values())) if isinstance(node, dict) else set()

    assert not words(schema) & {"maxLength", "pattern"}


def test_the_schema_for_the_prompt_keeps_lengths_and_descriptions() -> None:
    text = described(Whole)

    assert '"maxLength":10' in text
    assert "A kind." in text
    assert json.loads(text)["$defs"]["Part"]["properties"]["title"]["maxLength"] == 10
