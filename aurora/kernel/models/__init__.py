"""The domain, as plain frozen values. Storage and wire formats map to and from these."""

from aurora.kernel.models.alert import Alert, AlertStatus, Entity, EntityType, Observable, ObservableType, SourceField
from aurora.kernel.models.case import Case, CaseStatus
from aurora.kernel.models.device import AttestationStatus, Device
from aurora.kernel.models.indicator import Indicator, IndicatorStatus
from aurora.kernel.models.model_use import ModelUse
from aurora.kernel.models.severity import Severity
from aurora.kernel.models.task import Task, TaskState
from aurora.kernel.models.verdict import Contribution, Decider, DroppedClaim, Verdict, VerdictLabel

__all__ = [
    "Alert",
    "AlertStatus",
    "AttestationStatus",
    "Case",
    "CaseStatus",
    "Contribution",
    "Decider",
    "Device",
    "DroppedClaim",
    "Entity",
    "EntityType",
    "Indicator",
    "IndicatorStatus",
    "ModelUse",
    "Observable",
    "ObservableType",
    "Severity",
    "SourceField",
    "Task",
    "TaskState",
    "Verdict",
    "VerdictLabel",
]
