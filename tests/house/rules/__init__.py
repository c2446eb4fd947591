"""Rules of our own that no linter has. One file a rule; its docstring tells the incident it prevents."""

from tests.house.rules.aware_moments import AwareMoments
from tests.house.rules.framed_text import FramedText
from tests.house.rules.models_from_factory import ModelsFromFactory
from tests.house.rules.one_unit_of_work import OneUnitOfWork
from tests.house.rules.owned_tasks import OwnedTasks
from tests.house.rules.queries_in_repositories import QueriesInRepositories
from tests.house.rules.rule import Rule, Violation

RULES: tuple[Rule, ...] = (
    AwareMoments(),
    FramedText(),
    ModelsFromFactory(),
    OneUnitOfWork(),
    OwnedTasks(),
    QueriesInRepositories(),
)

__all__ = ["RULES", "Rule", "Violation"]
