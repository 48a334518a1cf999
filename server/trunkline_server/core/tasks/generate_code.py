"""GenerateCode: a program, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.v1 import tasks_pb2
from trunkline_server.core.tasks.task import Rules, Said, closed


@dataclass(frozen=True, slots=True)
class GenerateCode:
    """What is to be written makes sense only as a whole."""

    input: tasks_pb2.GenerateCodeInput
    name: str = "generate_code"
    may_cut: bool = False
    repeats: bool = False
    exact: bool = False

    @property
    def text(self) -> str:
        return self.input.instructions

    def check(self) -> None:
        """Its fields do not depend on each other."""

    def words(self) -> Mapping[str, str]:
        return {"language": self.input.language, "context": self.input.context}

    def rules(self, *, is_piece: bool) -> Rules:
        return closed({"code": {"type": "string", "minLength": 1}, "explanation": {"type": "string"}})

    def again(self, said: Sequence[Said]) -> str:
        return ""

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        told = result.generate_code
        told.code = said[0].answer["code"]
        told.explanation = said[0].answer["explanation"]
        told.language = self.input.language
