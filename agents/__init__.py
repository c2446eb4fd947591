"""Who thinks: agents, their tools, rules and enrichers, one file a thing. Found by discovery."""

AURORA_PACKAGE = "aurora-soc"
