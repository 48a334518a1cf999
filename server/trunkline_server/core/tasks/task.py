"""What every task is: words for a prompt, the form of an answer, and a result made of the answers to all pieces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

from trunkline.v1 import tasks_pb2

Rules: TypeAlias = dict[str, Any]


class Said(NamedTuple):
    """What a model answered to one piece, in the form that was asked for."""

    piece: str
    answer: Any


class Task(ABC):
    """One kind of task, with what its caller wants."""

    name: ClassVar[str]
    """As in `tasks/classify`."""
    may_cut: ClassVar[bool] = True
    """Its text may be cut into pieces."""
    combines: ClassVar[bool] = False
    """The answers to several pieces are asked about once more, to become one."""
    repeats: ClassVar[bool] = False
    """The answer is about as long as the text."""
    exact: ClassVar[bool] = True
    """The likeliest words are the best ones."""

    @property
    @abstractmethod
    def text(self) -> str:
        """What may be long."""

    def check(self) -> None:  # noqa: B027 - most have nothing to check
        """What lies between its fields. Raises VALIDATION."""

    @abstractmethod
    def words(self) -> Mapping[str, str]:
        """The values of the prompt's variables, but for `text` and `part`."""

    @abstractmethod
    def rules(self) -> Rules:
        """The form of an answer, as a JSON Schema."""

    def piece_rules(self) -> Rules:
        """The same for a piece of several."""
        return self.rules()

    def gathered(self, said: Sequence[Said]) -> str:
        """The answers as a text, for whoever combines."""
        return "\n\n".join(piece for piece, _ in said)

    @abstractmethod
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
