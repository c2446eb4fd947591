"""What agents remember. The three tiers live here; imports only `aurora.kernel`."""

AURORA_PACKAGE = "aurora-soc"
