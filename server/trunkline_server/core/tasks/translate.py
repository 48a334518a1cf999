"""Translate: the same in another language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import tasks_pb2
from trunkline_server.core.tasks.task import Rules, Said, Task, closed, listed

_FORMALITIES: Final[Mapping[int, str]] = {
    tasks_pb2.FORMALITY_FORMAL: "Speak to people formally, as among strangers.",
    tasks_pb2.FORMALITY_INFORMAL: "Speak to people informally, as among friends.",
}


@dataclass(frozen=True, slots=True)
class Translate(Task):
    """Pieces are put together with the white space that stood between them."""

    name = "translate"
    repeats = True

    input: tasks_pb2.TranslateInput

    @property
    def text(self) -> str:
        return self.input.text

    def words(self) -> Mapping[str, str]:
        return {
            "source_language": self.input.source_language or "the language that it is in",
            "target_language": self.input.target_language,
            "formality": _FORMALITIES.get(self.input.formality, ""),
            "glossary": listed(f"{entry.source} = {entry.target}" for entry in self.input.glossary),
        }

    def rules(self) -> Rules:
        word: Rules = {"type": "string", "minLength": 1}
        return closed({"source_language": word, "translation": word})

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        told = result.translate
        told.text = "".join(_spaced(answer["translation"], piece) for piece, answer in said)
        told.source_language = said[0].answer["source_language"]


def _spaced(translation: str, piece: str) -> str:
    before = piece[: len(piece) - len(piece.lstrip())]
    behind = piece[len(piece.rstrip()) :] if piece.strip() else ""
    return before + translation.strip() + behind
