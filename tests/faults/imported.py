"""What every process under test has imported before it is forked: seconds of work that each would do again."""

import langgraph.checkpoint.sqlite.aio
import langgraph.graph
import langgraph.graph.state  # noqa: F401

import tests.faults.baseline
import tests.faults.process  # noqa: F401
