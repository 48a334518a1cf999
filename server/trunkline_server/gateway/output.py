"""Whether an answer has the shape that its caller asked for, and how to ask the model again when it has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import schema
from trunkline_server.core.answer import Answer
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.schema import Schema

_JUDGED: Final = frozenset((chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_STOP_SEQUENCE))
_FENCE: Final = "```"
_REPAIR: Final = """Your last answer does not have the required form:
{faults}
Answer again, with the corrected JSON alone: no explanation, no code fence."""


class Output:
    """The output format of one question, ready to judge with; free where there is none."""

    __slots__ = ("_any", "_schema")

    def __init__(self, input: chat_pb2.ChatInput) -> None:
        self._schema: Schema | None = None
        self._any = not input.HasField("output_format")
        if not self._any and input.output_format.WhichOneof("kind") == "json_schema":
            text = input.output_format.json_schema.json_schema
            self._schema = schema.compile(text, "input.output_format.json_schema.json_schema")

    def faults(self, answer: Answer) -> list[str]:
        """What is wrong, in words of the schema. Answers that were cut, blocked or call tools are not judged."""
        if self._any or not any(end.finish_reason in _JUDGED for end in answer.ends()):
            return []
        texts = (_text(candidate) for candidate in answer.candidates() if _is_judged(candidate))
        return next((faults for faults in map(self._faults, texts) if faults), [])

    def require(self, answer: Answer) -> None:
        """Raises OUTPUT_INVALID."""
        if faults := self.faults(answer):
            raise TrunklineError(Reason.OUTPUT_INVALID, f"the answer does not meet input.output_format: {faults[0]}")

    def repair(self, input: chat_pb2.ChatInput, answer: Answer) -> chat_pb2.ChatInput:
        """The question again, with the answer so far and what is wrong with it."""
        question = chat_pb2.ChatInput()
        question.CopyFrom(input)
        wrong = next((each for each in answer.candidates() if _is_judged(each) and self._faults(_text(each))), None)
        if wrong is not None and wrong.message.parts:
            question.messages.append(wrong.message)
        request = question.messages.add(role=content_pb2.ROLE_USER)
        request.parts.add().text.text = _REPAIR.format(faults=_listed(self.faults(answer)))
        return question

    def _faults(self, text: str) -> list[str]:
        if text.lstrip().startswith(_FENCE):
            return ["$: is wrapped in a code fence"]
        return _object_faults(text) if self._schema is None else self._schema.faults(text)


def _object_faults(text: str) -> list[str]:
    try:
        return [] if isinstance(orjson.loads(text), dict) else ["$: is not a JSON object"]
    except ValueError:
        return ["$: is not JSON"]


def _is_judged(candidate: chat_pb2.Candidate) -> bool:
    """Whether the model was done and meant this as its answer."""
    parts = candidate.message.parts
    if candidate.finish_reason not in _JUDGED or any(part.HasField("refusal") for part in parts):
        return False
    return not any(part.tool_call.executor == content_pb2.TOOL_EXECUTOR_CALLER for part in parts)


def _text(candidate: chat_pb2.Candidate) -> str:
    return "".join(part.text.text for part in candidate.message.parts)


def _listed(faults: Sequence[str]) -> str:
    return "\n".join(f"- {fault}" for fault in faults)
