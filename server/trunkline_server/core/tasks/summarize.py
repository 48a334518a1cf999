"""Summarize: the same in fewer words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import tasks_pb2
from trunkline_server.core.tasks.task import Rules, Said, Task, closed

_LENGTHS: Final[Mapping[int, str]] = {
    tasks_pb2.SUMMARY_LENGTH_SHORT: "one or two sentences",
    tasks_pb2.SUMMARY_LENGTH_LONG: "three to five paragraphs",
}
_STYLES: Final[Mapping[int, str]] = {
    tasks_pb2.SUMMARY_STYLE_BULLETS: "points, each on a line of its own that begins with '- '",
    tasks_pb2.SUMMARY_STYLE_HEADLINE: "one headline, in one line, without a full stop",
}


@dataclass(frozen=True, slots=True)
class Summarize(Task):
    """Of a long text the summaries of its pieces are summarized again."""

    name = "summarize"
    combines = True

    input: tasks_pb2.SummarizeInput

    @property
    def text(self) -> str:
        return self.input.text

    def words(self) -> Mapping[str, str]:
        given = self.input
        length = f"at most {given.words_max} words" if given.words_max else _LENGTHS.get(given.length, "one paragraph")
        return {
            "length": length,
            "style": _STYLES.get(given.style, "plain sentences"),
            "focus": given.focus or "what matters most in it",
            "language": given.language or "the language of the text",
        }

    def rules(self) -> Rules:
        return closed({"summary": {"type": "string", "minLength": 1}})

    def gathered(self, said: Sequence[Said]) -> str:
        return "\n\n".join(answer["summary"] for _, answer in said)

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        result.summarize.text = "\n\n".join(answer["summary"].strip() for _, answer in said)
