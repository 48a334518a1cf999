"""What every task is: words for a prompt, the form of an answer, and a result made of the answers to all pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from trunkline.v1 import tasks_pb2

Rules: TypeAlias = dict[str, Any]


class Said(NamedTuple):
    """What a model answered to one piece, in the form that was asked for."""

    piece: str
    answer: Any


class Task(Protocol):
    """One kind of task, with what its caller wants."""

    @property
    def name(self) -> str:
        """As in `tasks/classify`."""

    @property
    def text(self) -> str:
        """What may be long."""

    @property
    def may_cut(self) -> bool:
        """It may be cut into pieces."""

    @property
    def repeats(self) -> bool:
        """The answer is about as long as the text."""

    @property
    def exact(self) -> bool:
        """The likeliest words are the best ones."""

    def check(self) -> None:
        """What lies between its fields. Raises VALIDATION."""

    def words(self) -> Mapping[str, str]:
        """The values of the prompt's variables, but for `text` and `part`."""

    def rules(self, *, is_piece: bool) -> Rules:
        """The form of an answer, as a JSON Schema."""

    def again(self, said: Sequence[Said]) -> str:
        """What is asked about once more, in place of the text, because several answers do not make one; or nothing."""

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        """Makes the result. Raises OUTPUT_INVALID."""


def closed(properties: Mapping[str, Rules]) -> Rules:
    """An object that has all of these and nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
