"""An answer as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from google.protobuf.message import Message

from trunkline.aio.connection import AsyncConnection, AsyncEvents, AsyncListening
from trunkline.answer import Answer, tool_calls
from trunkline.content import Words
from trunkline.errors import Unavailable
from trunkline.folding import Fold
from trunkline.happening import Finished, Happening, Said, ToolRan, happening
from trunkline.place import Place
from trunkline.question import Question
from trunkline.rounds import Rounds
from trunkline.v1 import chat_pb2, chat_pb2_grpc


class AsyncStream(AsyncListening):
    """Iterate over it for pieces of text, or over `happenings()` for all that happens. Once.

    As a context manager it stops the call when you leave early; what was used until then is charged.
    """

    def __init__(self, connection: AsyncConnection, question: Question, words: Words | None) -> None:
        super().__init__()
        self._connection = connection
        self._stub = chat_pb2_grpc.ChatServiceStub(connection.channel)
        self._question = question
        self._rounds = Rounds(question, words)
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The whole answer with its bill, once the stream has ended."""
        if self._answer is None:
            raise RuntimeError("the stream has not ended: read it to its end first")
        return self._answer

    async def text(self) -> str:
        """All of it."""
        return "".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            async for each in self.happenings():
                if isinstance(each, Said) and each.candidate == 0:
                    yield each.text
        finally:
            self.cancel()

    async def happenings(self) -> AsyncIterator[Happening]:
        """All that happens, tools included."""
        while True:
            fold = Fold()
            async for event in self._once(fold):
                told = happening(event)
                if told is not None:
                    yield told
            if not self._rounds.goes_on(fold.completion):
                break
            results = await self._question.toolbox.run_async(tool_calls(fold.completion))
            self._rounds.take(results)
            for result in results:
                yield ToolRan(result.call, result.text, result.failed)
        self._answer = self._rounds.answer
        yield Finished(self._answer)

    async def events(self) -> AsyncIterator[chat_pb2.ChatEvent]:
        """The contract's own events, of one round."""
        fold = Fold()
        async for event in self._once(fold):
            yield event
        self._rounds.goes_on(fold.completion)
        self._answer = self._rounds.answer

    async def _once(self, fold: Fold) -> AsyncIterator[chat_pb2.ChatEvent]:
        events = self._asked()
        place = Place()
        try:
            while True:
                try:
                    async for response in events:
                        fold.take(response.event)
                        place.heard(response.event)
                        yield response.event
                except Unavailable as error:
                    place.broken(error)
                    events = self._resumed(place.token)
                else:
                    return
        finally:
            self.cancel()

    def _asked(self) -> AsyncEvents[Any]:
        request = chat_pb2.StreamRequest(
            input=self._rounds.input, request_id=self._rounds.request_id, resumable=self._question.resumable
        )
        return self._heard(self._stub.Stream, request)

    def _resumed(self, token: str) -> AsyncEvents[Any]:
        return self._heard(self._stub.ResumeStream, chat_pb2.ResumeStreamRequest(resume_token=token))

    def _heard(self, method: grpc.aio.UnaryStreamMultiCallable[Any, Any], request: Message) -> AsyncEvents[Any]:
        known = self._question
        self._events = self._connection.stream(method, request, user=known.user, timeout_s=known.timeout_s)
        return self._events
