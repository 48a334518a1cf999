"""Puts tasks together, for callers and for jobs."""

from __future__ import annotations

from typing import Final

from trunkline_server.config import TasksSection
from trunkline_server.gateway.tasks.asking import Asker
from trunkline_server.gateway.tasks.prompts import TaskPrompts, shipped_prompts
from trunkline_server.gateway.tasks.tasks import Tasks, TaskSettings
from trunkline_server.store.database import Database
from trunkline_server.store.prompts import Prompts

AT_ONCE: Final = 4
METHODS: Final = ("Classify", "Extract", "Summarize", "Translate", "GenerateCode")


def tasks_over(given: TasksSection, database: Database, asker: Asker, at_once: int = 1) -> Tasks:
    """Tasks that ask so many questions about one text at once."""
    settings = TaskSettings({str(task): models for task, models in given.models.items()}, given.piece_tokens, at_once)
    return Tasks(asker, TaskPrompts(Prompts(database), shipped_prompts()), settings)
