"""What stands between outside text and the memory: secrets out, orders noticed, trust bounded."""

from memory.guard.instructions import instruction_patterns
from memory.guard.redaction import redact, redact_value
from memory.guard.trust import Bound, bound

__all__ = ["Bound", "bound", "instruction_patterns", "redact", "redact_value"]
