"""Public knowledge that ships with Aurora: ATT&CK and warning lists. Licences are in NOTICE.md."""

from aurora.knowledge.attack import Attack
from aurora.knowledge.warninglists import WarningLists

__all__ = ["Attack", "WarningLists"]
