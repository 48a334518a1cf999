"""Asking models: what every object can do that knows a gateway and a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trunkline.answer import Answer, Shaped, tool_calls
from trunkline.content import Words
from trunkline.errors import TrunklineError
from trunkline.question import Fluent, Question, inputs
from trunkline.refusals import error_in
from trunkline.rounds import Rounds
from trunkline.shapes import parse
from trunkline.sync.batches import Batch, Batches
from trunkline.sync.connection import Connection
from trunkline.sync.jobs import Job, Jobs
from trunkline.sync.stream import Stream
from trunkline.v1 import chat_pb2, chat_pb2_grpc
from trunkline.work import Work

if TYPE_CHECKING:
    from trunkline.sync.conversations import Conversation

T = TypeVar("T")


class Asking(Fluent["Chat"]):
    """The options of `Fluent`, and the words that end them."""

    def __init__(self, connection: Connection, question: Question) -> None:
        self._connection = connection
        self._question = question

    def send(self, words: Words | None = None) -> Answer:
        """The whole answer. Functions given with `tools` are run until the model needs no more of them."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        rounds = Rounds(known, words)
        while True:
            request = chat_pb2.CompleteRequest(input=rounds.input, request_id=rounds.request_id)
            said = self._connection.call(stub.Complete, request, user=known.user, timeout_s=known.timeout_s)
            if not rounds.goes_on(said.completion):
                return rounds.answer
            rounds.take(known.toolbox.run(tool_calls(said.completion)))

    def stream(self, words: Words | None = None) -> Stream:
        """The answer as it comes: pieces of text, or `happenings()`."""
        return Stream(self._connection, self._question, words)

    def into(self, shape: type[T]) -> Into[T]:
        """Ask for a dataclass, a pydantic model, a `TypedDict`: `.into(City).send(...)`."""
        return Into(self.shaped(shape, name=getattr(shape, "__name__", "")), shape)

    def many(
        self, questions: Iterable[Words | chat_pb2.ChatInput], *, concurrency_max: int = 0
    ) -> Sequence[Answer | TrunklineError]:
        """Up to 100 questions in one call; answers in order, and errors in place of those that failed."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        request = chat_pb2.CompleteManyRequest(
            inputs=inputs(questions, known), max_concurrency=concurrency_max, request_id=known.request_id
        )
        said = self._connection.call(stub.CompleteMany, request, user=known.user, timeout_s=known.timeout_s)
        return [
            error_in(each.error) if each.HasField("error") else Answer(each.completion, (each.completion,))
            for each in said.results
        ]

    def quote(self, words: Words | None = None) -> chat_pb2.QuoteResponse:
        """What it would cost, least and most. Free."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        return self._connection.look(stub.Quote, chat_pb2.QuoteRequest(input=known.asked(words)), user=known.user)

    def count_tokens(self, words: Words | None = None) -> int:
        """Tokens of the question. Free."""
        stub, known = chat_pb2_grpc.ChatServiceStub(self._connection.channel), self._question
        request = chat_pb2.CountTokensRequest(input=known.asked(words))
        return (self._connection.look(stub.CountTokens, request, user=known.user)).input_tokens

    def submit(self, words: Work, **how: Any) -> Job:
        """The same with nobody waiting: see `jobs.submit` for its options."""
        return Jobs(self._connection, self._question).submit(words, **how)

    def batch(self, items: Iterable[Work], **how: Any) -> Batch:
        """Many with nobody waiting: see `batches.submit` for its options."""
        return Batches(self._connection, self._question).submit(items, **how)

    def input(self, words: Words | None = None) -> chat_pb2.ChatInput:
        """The question as the contract spells it, for whatever takes one."""
        return self._question.asked(words)

    def conversation(self, conversation_id: str) -> Conversation:
        """Speak in a conversation that the gateway keeps."""
        from trunkline.sync.conversations import Conversation  # noqa: PLC0415 - it speaks as this does

        return Conversation(self._connection, self._question, conversation_id)

    def _known(self) -> Question:
        return self._question

    def _ask(self, question: Question) -> Chat:
        return Chat(self._connection, question)


class Chat(Asking):
    """A question that is being put together."""


class Into(Generic[T]):
    """A question whose answer is a value of a type."""

    def __init__(self, chat: Chat, shape: type[T]) -> None:
        self._chat = chat
        self._shape = shape

    def send(self, words: Words | None = None) -> Shaped[T]:
        """The gateway has checked the answer before; `OutputInvalid` where the model cannot be brought to it."""
        answer = self._chat.send(words)
        return Shaped(parse(self._shape, answer.text), answer)
