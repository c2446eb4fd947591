"""How agents work together: the LangGraph state machines. Found by discovery."""

AURORA_PACKAGE = "aurora-soc"
