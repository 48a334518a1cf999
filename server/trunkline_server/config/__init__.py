"""Settings: one TOML file and the environment, read once, refused loudly when wrong. Nobody else reads either."""

from __future__ import annotations

from trunkline_server.config.checks import ConfigError
from trunkline_server.config.reading import CLIENT_NAMES, PREFIX, load
from trunkline_server.config.sections import (
    CollectionsSection,
    JobsSection,
    ModelSection,
    ProviderSection,
    Settings,
    TasksSection,
    TuningPriceSection,
)

__all__ = [
    "CLIENT_NAMES",
    "PREFIX",
    "CollectionsSection",
    "ConfigError",
    "JobsSection",
    "ModelSection",
    "ProviderSection",
    "Settings",
    "TasksSection",
    "TuningPriceSection",
    "load",
]
