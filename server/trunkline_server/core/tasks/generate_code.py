"""GenerateCode: a program, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.v1 import tasks_pb2
from trunkline_server.core.tasks.task import Rules, Said, Task, closed


@dataclass(frozen=True, slots=True)
class GenerateCode(Task):
    """What is to be written makes sense only as a whole."""

    name = "generate_code"
    may_cut = False
    exact = False

    input: tasks_pb2.GenerateCodeInput

    @property
    def text(self) -> str:
        return self.input.instructions

    def words(self) -> Mapping[str, str]:
        return {"language": self.input.language, "context": self.input.context}

    def rules(self) -> Rules:
        return closed({"code": {"type": "string", "minLength": 1}, "explanation": {"type": "string"}})

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        told = result.generate_code
        told.code = said[0].answer["code"]
        told.explanation = said[0].answer["explanation"]
        told.language = self.input.language
