"""Settings: frozen, nested, checked once at start with all faults listed together.

Sources, the later winning: defaults, `aurora.toml`, environment, arguments of the call.
"""

from aurora.settings.load import load_settings, settings_with_origin
from aurora.settings.model import (
    AuthSettings,
    BudgetSettings,
    ContentSettings,
    DatabaseSettings,
    DispatchSettings,
    Environment,
    IngestSettings,
    ModelSettings,
    ObservabilitySettings,
    RetentionSettings,
    Settings,
    TriageSettings,
)

__all__ = [
    "AuthSettings",
    "BudgetSettings",
    "ContentSettings",
    "DatabaseSettings",
    "DispatchSettings",
    "Environment",
    "IngestSettings",
    "ModelSettings",
    "ObservabilitySettings",
    "RetentionSettings",
    "Settings",
    "TriageSettings",
    "load_settings",
    "settings_with_origin",
]
