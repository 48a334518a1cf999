"""A chat call in the words of another API, whole or as a stream of events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from google.protobuf.message import Message

from trunkline.v1 import chat_pb2
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Headers, Reply
from trunkline_server.edge.facts import answer_headers
from trunkline_server.edge.router import JSON

COMPLETE: Final = "/trunkline.v1.ChatService/Complete"
STREAM: Final = "/trunkline.v1.ChatService/Stream"

Words: TypeAlias = Mapping[str, Callable[[Any], bytes]]


class ChatCall(Spelling):
    """`words`: how each kind of event is spelled; of others nothing is said."""

    def __init__(self, procedures: Mapping[str, Procedure]) -> None:
        self._procedures = procedures
        self._words = self.words()

    @abstractmethod
    def words(self) -> Words: ...

    @abstractmethod
    def ask(self, body: bytes) -> tuple[chat_pb2.ChatInput, bool]:
        """The question, and whether its answer is to be streamed."""

    @abstractmethod
    def whole(self, completion: chat_pb2.Completion) -> dict[str, Any]:
        """The answer in one piece."""

    def headers(self, visit: Visit, answer: Message | None) -> Headers:
        return answer_headers(visit, answer)

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        question, is_streamed = self.ask(body)
        if is_streamed:
            return self._procedures[STREAM], chat_pb2.StreamRequest(input=question)
        return visit.procedure, chat_pb2.CompleteRequest(input=question)

    def write(self, visit: Visit, response: Any) -> Reply:
        return Reply(200, (*JSON, *self.headers(visit, response)), orjson.dumps(self.whole(response.completion)))

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        return (*sse.HEADERS, *self.headers(visit, first))

    def piece(self, message: Any) -> bytes:
        event: chat_pb2.ChatEvent = message.event
        kind = event.WhichOneof("event") or ""
        spell = self._words.get(kind)
        return spell(getattr(event, kind)) if spell is not None else b""
