"""What one run may use up. Pure: time is what the journal says was spent, so a replay comes to the same."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from aurora.llm.errors import BudgetExceeded
from aurora.settings import BudgetSettings


class Budget:
    """Counts what the agents of one run have used.

    Args:
        limits: What they may use together.
    """

    def __init__(self, limits: BudgetSettings) -> None:
        self.limits = limits
        self.calls = 0
        self.rounds = 0
        self.tokens = 0
        self.usd = Decimal(0)
        self.wall = timedelta()

    def spend(
        self,
        *,
        calls: int = 0,
        rounds: int = 0,
        tokens: int = 0,
        usd: Decimal | None = None,
        took: timedelta = timedelta(),
    ) -> None:
        """Count what was used. An unknown price counts as nothing: the other limits hold.

        Args:
            calls: Of models.
            rounds: Of tools.
            tokens: In and out.
            usd: What it cost, if that is known.
            took: How long it took.
        """
        self.calls += calls
        self.rounds += rounds
        self.tokens += tokens
        self.usd += usd or Decimal(0)
        self.wall += took

    @property
    def wall_left(self) -> timedelta:
        """Time that may still be spent waiting; zero if none."""
        return max(timedelta(), self.limits.wall - self.wall)

    def check(self) -> None:
        """Return if one more call may be made.

        Raises:
            BudgetExceeded: a limit is reached.
        """
        limits = self.limits
        reached = {
            "steps": max(self.calls, self.rounds) >= limits.steps,
            "tokens": self.tokens >= limits.tokens,
            "usd": self.usd >= limits.usd and self.usd > 0,
            "wall": not self.wall_left,
        }
        for limit, is_reached in reached.items():
            if is_reached:
                raise BudgetExceeded(
                    f"the run's budget of {limit} is used up; raise AURORA_BUDGET__{limit.upper()} if runs need more",
                    limit=limit,
                )
