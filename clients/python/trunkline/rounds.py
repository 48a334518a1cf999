"""A question with its rounds of tools: what is asked next, and what has come of it."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.answer import Answer, tool_calls
from trunkline.content import Words
from trunkline.errors import ToolRoundsSpent
from trunkline.question import Question
from trunkline.toolbox import Result
from trunkline.v1 import chat_pb2, content_pb2

_INSTRUCTIONS = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)


class Rounds:
    """Grows with every answer."""

    def __init__(self, question: Question, words: Words | None) -> None:
        self._question = question
        self.input = question.asked(words)
        self._said = list(self.input.messages)
        self._completions: list[chat_pb2.Completion] = []

    @property
    def request_id(self) -> str:
        """Each round is a call of its own, and so has a name of its own."""
        name, count = self._question.request_id, len(self._completions)
        return f"{name}/{count}" if name and count else name

    def goes_on(self, completion: chat_pb2.Completion) -> bool:
        """Takes an answer; whether there are tools to be run for it."""
        self._completions.append(completion)
        self._said.extend(candidate.message for candidate in completion.candidates[:1])
        calls = tool_calls(completion)
        if not self._question.toolbox.can_run(calls):
            return False
        if len(self._completions) > self._question.rounds_max:
            raise ToolRoundsSpent(
                f"it asks for {calls[0].name!r} after {self._question.rounds_max} rounds", self.answer
            )
        return True

    def take(self, results: Sequence[Result]) -> None:
        """What the tools gave goes with the next call; a conversation of the gateway's knows the rest already."""
        told = content_pb2.Message(role=content_pb2.ROLE_TOOL, parts=[result.part() for result in results])
        self._said.append(told)
        kept = [told] if self.input.conversation_id else self._said
        instructions = [each for each in self.input.messages if each.role in _INSTRUCTIONS] if kept == [told] else []
        following = chat_pb2.ChatInput()
        following.CopyFrom(self.input)
        del following.messages[:]
        following.messages.extend([*instructions, *kept])
        if following.conversation_id:
            following.ClearField("prompt")
        following.ClearField("tool_choice")
        self.input = following

    @property
    def answer(self) -> Answer:
        return Answer(self._completions[-1], tuple(self._completions), tuple(self._said))
