"""Chat models: the only place that builds them, asks them, and pays for them.

Import from the modules: `open.open_models` opens a model, `agents.ModelAgents` lets agents think with it.
"""
