"""Which task a message asks for."""

from __future__ import annotations

from typing import assert_never

from trunkline.v1 import tasks_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.core.tasks.classify import Classify
from trunkline_server.core.tasks.extract import Extract
from trunkline_server.core.tasks.generate_code import GenerateCode
from trunkline_server.core.tasks.summarize import Summarize
from trunkline_server.core.tasks.task import Task
from trunkline_server.core.tasks.translate import Translate


def task_of(input: tasks_pb2.TaskInput) -> Task:
    """Raises VALIDATION where it asks for none."""
    kind = input.WhichOneof("task")
    match kind:
        case "classify":
            return Classify(input.classify)
        case "extract":
            return Extract(input.extract)
        case "summarize":
            return Summarize(input.summarize)
        case "translate":
            return Translate(input.translate)
        case "generate_code":
            return GenerateCode(input.generate_code)
        case None:
            raise invalid("task", "is missing")
        case _:
            assert_never(kind)
