"""All tables. Importing this package registers every one of them on `Base.metadata`."""

from aurora.storage.base import Base
from aurora.storage.checkpoints.tables import CheckpointBlobModel, CheckpointModel, CheckpointWriteModel
from aurora.storage.models.alert import AlertEntityModel, AlertModel, AlertRecordModel, AlertRelationModel
from aurora.storage.models.batch import BatchModel, RejectedRecordModel
from aurora.storage.models.case import CaseModel
from aurora.storage.models.device import CPSDeviceModel
from aurora.storage.models.indicator import IOCModel
from aurora.storage.models.journal import JournalModel
from aurora.storage.models.schedule import ScheduleModel, ScheduleSlotModel
from aurora.storage.models.task import RunModel, TaskEventModel, TaskModel
from aurora.storage.models.verdict import VerdictModel
from aurora.storage.models.worker import CircuitModel, WorkerModel

__all__ = [
    "AlertEntityModel",
    "AlertModel",
    "AlertRecordModel",
    "AlertRelationModel",
    "Base",
    "BatchModel",
    "CPSDeviceModel",
    "CaseModel",
    "CheckpointBlobModel",
    "CheckpointModel",
    "CheckpointWriteModel",
    "CircuitModel",
    "IOCModel",
    "JournalModel",
    "RejectedRecordModel",
    "RunModel",
    "ScheduleModel",
    "ScheduleSlotModel",
    "TaskEventModel",
    "TaskModel",
    "VerdictModel",
    "WorkerModel",
]
