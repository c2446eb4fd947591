"""What a tool may raise to steer the model that called it. Any other error ends the call without a word of its text."""

from __future__ import annotations


class Steering(Exception):
    """Base of what a tool tells a model by raising it.

    Args:
        hint: One sentence for the model, written by the tool's author; never text from outside.
    """

    def __init__(self, hint: str) -> None:
        super().__init__(hint)
        self.hint = hint


class RetryWithHint(Steering):
    """The call was wrong in a way that the model can mend: another spelling, another type."""


class GiveUp(Steering):
    """There is nothing to be had here; calling again will not help."""
