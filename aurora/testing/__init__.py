"""The test kit that ships with Aurora: virtual time today, scripted models and a runtime in memory to come."""

from aurora.testing.clock import ManualClock

__all__ = ["ManualClock"]
