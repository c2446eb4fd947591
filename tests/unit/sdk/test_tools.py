"""A typed function is a tool: its signature is what a model may call it with."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from agents.triage import TRIAGE
from aurora.sdk import ToolContext, tool


@tool(id="weather", version="1", title="Weather")
async def weather(
    place: Annotated[str, Field(min_length=1, description="Where.")], days: int = 1, *, context: ToolContext
):
    """Tell the weather."""
    return []


def test_a_model_reads_names_types_defaults_and_descriptions_and_not_the_context() -> None:
    schema = weather.parameters.model_json_schema()

    assert schema["properties"]["place"] == {
        "description": "Where.",
        "minLength": 1,
        "title": "Place",
        "type": "string",
    }
    assert schema["properties"]["days"]["default"] == 1
    assert schema["required"] == ["place"]
    assert schema["additionalProperties"] is False
    assert list(weather.faults()) == []


@pytest.mark.parametrize("arguments", [{}, {"place": ""}, {"place": "x", "days": "many"}, {"place": "x", "context": 1}])
def test_other_arguments_are_refused(arguments) -> None:
    with pytest.raises(ValidationError):
        weather.parameters.model_validate(arguments)


def test_faults_of_a_tool_are_told() -> None:
    @tool(id="odd.name", version="1", title="Odd")
    def odd(value, *more):
        """Do something."""

    faults = " | ".join(odd.faults())

    assert "async" in faults
    assert "letters, digits and '_'" in faults
    assert "'value' has no type" in faults


def test_a_tool_only_reads() -> None:
    dangerous = replace(weather, risk="T2")

    assert any("a tool only reads" in fault for fault in dangerous.faults())


def test_tools_of_an_agent_are_a_tuple_even_if_there_is_only_one() -> None:
    agent = replace(TRIAGE, tools="past_alerts")

    assert "tools must be a tuple of ids: write ('past_alerts',)" in list(agent.faults())
