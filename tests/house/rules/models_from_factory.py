"""One place builds models."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from tests.house.rules.rule import Rule, calls, imports, last_name

_PROVIDER = re.compile(
    r"(langchain_(?!core\b|text_splitters\b)\w+|langchain\.chat_models|openai|anthropic|ollama|litellm|mistralai"
    r"|google\.genai|google\.generativeai|boto3)(\.|$)"
)


class ModelsFromFactory(Rule):
    """No chat model is built, and no provider imported, outside `aurora/llm/factory.py`.

    Incident it prevents: an agent builds its own client to try another model. Its calls have no
    budget, no breaker and no journal: a loop in a prompt spends money all night, and the run
    cannot be replayed to find out why.
    """

    # The factory itself: budget, breaker, accounting and journal are put around every model there.
    allowed: ClassVar[tuple[str, ...]] = ("aurora/llm/factory.py",)

    def find(self, tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
        for line, name in imports(tree):
            if _PROVIDER.match(name):
                yield line, f"{name} is a model provider: ask aurora/llm/factory.py for a model"
        for call in calls(tree):
            if last_name(call.func) in {"init_chat_model", "init_embeddings"}:
                yield call.lineno, f"{last_name(call.func)} builds a model: ask aurora/llm/factory.py for one"
