"""assess: the rules weigh the evidence, and a model, if there is one, gives its opinion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents import analyst
from agents.opinion import Opinion, weighed
from agents.triage import TRIAGE, dossier
from graphs.nodes.view import view_of

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from aurora.sdk.agents import Answer
    from aurora.sdk.context import RunContext
    from graphs.state import Json, TriageState


async def assess(state: TriageState, runtime: Runtime[RunContext]) -> TriageState:
    """Let every rule speak, then the model; keep what each adds to the weight, for or against."""
    context = runtime.context
    view = view_of(state)
    contributions = analyst.assess(view, context.rules)
    if context.agents.model is None:
        return {"contributions": [each.model_dump(mode="json") for each in contributions], "opinion": None}
    holding, _ = analyst.verify(view, contributions, context.knowledge.attack)
    answer: Answer[Opinion] = await context.agents.ask(TRIAGE, dossier(view, holding))
    said = () if answer.value is None else weighed(answer.value)
    return {
        "contributions": [each.model_dump(mode="json") for each in (*contributions, *said)],
        "looked_up": [each.model_dump(mode="json") for each in answer.findings],
        "opinion": _told(answer),
    }


def _told(answer: Answer[Opinion]) -> Json:
    return {
        "said": None if answer.value is None else answer.value.model_dump(mode="json"),
        "failure": answer.failure,
        "exhausted": answer.exhausted,
        "use": answer.use.model_dump(mode="json"),
    }
