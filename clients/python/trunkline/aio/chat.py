"""Asking models: what every object can do that knows a gateway and a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trunkline.aio.batches import AsyncBatch, AsyncBatches
from trunkline.aio.connection import AsyncConnection
from trunkline.aio.jobs import AsyncJob, AsyncJobs
from trunkline.aio.stream import AsyncStream
from trunkline.answer import Answer, Shaped, tool_calls
from trunkline.content import Words
from trunkline.errors import TrunklineError
from trunkline.question import Fluent, Question, inputs
from trunkline.refusals import error_in
from trunkline.rounds import Rounds
from trunkline.shapes import parse
from trunkline.v1 import chat_pb2, chat_pb2_grpc
from trunkline.work import Work

if TYPE_CHECKING:
    from trunkline.aio.conversations import AsyncConversation

T = TypeVar("T")


class AsyncAsking(Fluent["AsyncChat"]):
    """The options of `Fluent`, and the words that end them."""

    def __init__(self, connection: AsyncConnection, question: Question) -> None:
        self._connection = connection
        self._question = question

    async def send(self, words: Words | None = None) -> Answer:
        """The whole answer. Functions given with `tools` are run until the model needs no more of them."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        rounds = Rounds(known, words)
        while True:
            request = chat_pb2.CompleteRequest(input=rounds.input, request_id=rounds.request_id)
            said = await self._connection.call(stub.Complete, request, user=known.user, timeout_s=known.timeout_s)
            if not rounds.goes_on(said.completion):
                return rounds.answer
            rounds.take(await known.toolbox.run_async(tool_calls(said.completion)))

    def stream(self, words: Words | None = None) -> AsyncStream:
        """The answer as it comes: pieces of text, or `happenings()`."""
        return AsyncStream(self._connection, self._question, words)

    def into(self, shape: type[T]) -> AsyncInto[T]:
        """Ask for a dataclass, a pydantic model, a `TypedDict`: `.into(City).send(...)`."""
        return AsyncInto(self.shaped(shape, name=getattr(shape, "__name__", "")), shape)

    async def many(
        self, questions: Iterable[Words | chat_pb2.ChatInput], *, concurrency_max: int = 0
    ) -> Sequence[Answer | TrunklineError]:
        """Up to 100 questions in one call; answers in order, and errors in place of those that failed."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        request = chat_pb2.CompleteManyRequest(
            inputs=inputs(questions, known), max_concurrency=concurrency_max, request_id=known.request_id
        )
        said = await self._connection.call(stub.CompleteMany, request, user=known.user, timeout_s=known.timeout_s)
        return [
            error_in(each.error) if each.HasField("error") else Answer(each.completion, (each.completion,))
            for each in said.results
        ]

    async def quote(self, words: Words | None = None) -> chat_pb2.QuoteResponse:
        """What it would cost, least and most. Free."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        return await self._connection.look(stub.Quote, chat_pb2.QuoteRequest(input=known.asked(words)), user=known.user)

    async def count_tokens(self, words: Words | None = None) -> int:
        """Tokens of the question. Free."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        request = chat_pb2.CountTokensRequest(input=known.asked(words))
        return (await self._connection.look(stub.CountTokens, request, user=known.user)).input_tokens

    async def submit(self, words: Work, **how: Any) -> AsyncJob:
        """The same with nobody waiting: see `jobs.submit` for its options."""
        return await AsyncJobs(self._connection, self._question).submit(words, **how)

    async def batch(self, items: Iterable[Work], **how: Any) -> AsyncBatch:
        """Many with nobody waiting: see `batches.submit` for its options."""
        return await AsyncBatches(self._connection, self._question).submit(items, **how)

    def input(self, words: Words | None = None) -> chat_pb2.ChatInput:
        """The question as the contract spells it, for whatever takes one."""
        return self._question.asked(words)

    def conversation(self, conversation_id: str) -> AsyncConversation:
        """Speak in a conversation that the gateway keeps."""
        from trunkline.aio.conversations import AsyncConversation  # noqa: PLC0415 - it speaks as this does

        return AsyncConversation(self._connection, self._question, conversation_id)

    def _known(self) -> Question:
        return self._question

    def _ask(self, question: Question) -> AsyncChat:
        return AsyncChat(self._connection, question)


class AsyncChat(AsyncAsking):
    """A question that is being put together."""


class AsyncInto(Generic[T]):
    """A question whose answer is a value of a type."""

    def __init__(self, chat: AsyncChat, shape: type[T]) -> None:
        self._chat = chat
        self._shape = shape

    async def send(self, words: Words | None = None) -> Shaped[T]:
        """The gateway has checked the answer before; `OutputInvalid` where the model cannot be brought to it."""
        answer = await self._chat.send(words)
        return Shaped(parse(self._shape, answer.text), answer)
