"""Recall: what a memory answers, why, and what it leaves out."""

from memory.recall.recall import Recall
from memory.recall.request import Hit, LeftOut, Recalled, Request, RequestInvalid

__all__ = ["Hit", "LeftOut", "Recall", "Recalled", "Request", "RequestInvalid"]
