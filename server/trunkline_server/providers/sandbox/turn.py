"""One call as it is played: what was asked, how it goes, what is said, and the facts that both spellings share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline_server.providers.sandbox.question import Question
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.speech import REASONING, Speech

CREATED_S: Final = 1_767_225_600  # the same bytes on every day


@dataclass(frozen=True, slots=True)
class Turn:
    """`digest` stands for the request: the same question gets the same ids."""

    question: Question
    script: Script
    speech: Speech
    digest: str

    @property
    def candidates(self) -> range:
        """Their places."""
        return range(self.question.n or 1)

    def envelope(self, kind: str, choices: list[object]) -> dict[str, object]:
        """The frame around choices; `kind` is the dialect's word for it."""
        model = self.question.model
        return {
            "id": f"chatcmpl-{self.digest}",
            "object": kind,
            "created": CREATED_S,
            "model": model,
            "choices": choices,
        }

    def call_id(self, candidate: int, place: int) -> str:
        """The id of one of a candidate's tool calls."""
        return f"call_{self.digest}_{candidate}_{place}"

    @property
    def usage(self) -> Mapping[str, object] | None:
        """As counted, or as the script tells; None where it says to report none."""
        told, count = self.script.usage, len(self.candidates)
        if told is None:
            return None
        given, said = told.input_tokens, told.output_tokens
        thought = told.reasoning_output_tokens
        return _spelled(
            self.question.words if given is None else given,
            told.cached_input_tokens,
            self.speech.words() * count if said is None else said,
            self.speech.words(REASONING) * count if thought is None else thought,
        )


def _spelled(prompt: int, cached: int, completion: int, reasoning: int) -> Mapping[str, object]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
