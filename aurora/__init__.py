"""Aurora: a durable runtime for security agents. Importing it does nothing."""

AURORA_PACKAGE = "aurora-soc"
"""Marks this package as ours; `aurora.guard` refuses to start where a namesake took its place."""
