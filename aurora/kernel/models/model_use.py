"""What a run asked of a model, and what that cost."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field


class ModelUse(BaseModel):
    """Account of one agent's work in one run."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    """`provider:name`, as it was asked for."""

    prompt: str
    """Reference of the prompt: `id@version#hash`."""

    calls: int = Field(default=0, ge=0)
    """Times that the model was asked, repairs included, retries of a failed request not."""

    tool_calls: int = Field(default=0, ge=0)

    input_tokens: int = Field(default=0, ge=0)

    output_tokens: int = Field(default=0, ge=0)

    cost_usd: Decimal | None = None
    """`None`: the price of this model is not known."""

    took_ms: int = Field(default=0, ge=0)
    """Time spent waiting for the model and its tools."""
