"""One call and what is done around it: before it is asked, as it answers, and when it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from trunkline.v1 import chat_pb2


class Turn:
    """A call that stands for itself. `input` is the whole question, once the turn is entered."""

    __slots__ = ("input",)

    def __init__(self, input: chat_pb2.ChatInput) -> None:
        self.input = input

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def told(self, completion: chat_pb2.Completion) -> None:
        """The call was answered in one piece."""

    def heard(self, events: AsyncGenerator[chat_pb2.ChatEvent, None]) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The same events, on their way to the caller."""
        return events


class MarkedTurn(Turn):
    """Its answer tells the prompt that was used."""

    __slots__ = ("_prompt",)

    def __init__(self, input: chat_pb2.ChatInput, prompt: chat_pb2.PromptUse) -> None:
        super().__init__(input)
        self._prompt = prompt

    async def told(self, completion: chat_pb2.Completion) -> None:
        completion.prompt.CopyFrom(self._prompt)

    async def heard(self, events: AsyncGenerator[chat_pb2.ChatEvent, None]) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        async with aclosing(events):
            async for event in events:
                if event.HasField("started"):
                    event.started.prompt.CopyFrom(self._prompt)
                yield event
