"""What tokens cost, from a table that comes with a package. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

Price = Callable[[int, int], Decimal | None]
"""Returns the cost in US dollars of so many tokens in and out; `None`: not known."""

FREE = Decimal(0)


def free(_input_tokens: int, _output_tokens: int) -> Decimal:
    """Return the price of a model on one's own machine."""
    return FREE


def unknown(_input_tokens: int, _output_tokens: int) -> None:
    """Return that the price is not known."""


def price_of(provider: str, model: str) -> Price:
    """Return the price of a model.

    It is unknown where the table lacks the model, and where `genai-prices` is not installed. That package
    fetches newer prices only for programs that start its `UpdatePrices`; this one never does.

    Args:
        provider: Its name in the table: `openai`, `anthropic`, `google`, `mistral`, `aws`.
        model: Name of the model, as the provider has it.
    """
    try:
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - optional, and a table of 1.6 MB
    except ImportError:
        return unknown

    def cost(input_tokens: int, output_tokens: int) -> Decimal | None:
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        try:
            return calc_price(usage, model, provider_id=provider).total_price
        except (LookupError, ValueError):
            return None

    # Which model is meant does not change, so an unknown one is looked for once only.
    return cost if cost(1, 1) is not None else unknown
