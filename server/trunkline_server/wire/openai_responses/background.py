"""Answers that the provider makes in its own time: a response is begun, asked after by its id, and stopped by it."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.craft import BackgroundCraft, LongCraft, Pending
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_responses import OpenAIResponses
from trunkline_server.wire.openai_responses.decode import BodyDecoder
from trunkline_server.wire.openai_responses.encode import encode_chat
from trunkline_server.wire.openai_responses.shapes import RESPONSE

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,1024}")
PENDING: Final = frozenset(("queued", "in_progress"))
ACCEPT_JSON: Final = {"accept": "application/json"}


@dataclass(frozen=True)
class BackgroundResponses(BackgroundCraft):
    """Wanted by the provider's own option, `{"background": true}`."""

    wire: OpenAIResponses = field(default_factory=OpenAIResponses)
    poll_s: float = 2.0

    def is_wanted(self, ask: Ask) -> bool:
        return ask.options.get("background") is True

    def begin(self, ask: Ask, answer: Answer) -> LongCraft[chat_pb2.ChatInput, chat_pb2.Completion]:
        return BackgroundResponse(ask, answer, self.wire, self.poll_s)


@dataclass(frozen=True)
class BackgroundResponse(LongCraft[chat_pb2.ChatInput, chat_pb2.Completion]):
    """One of them. What came of it grows the answer; its product has only who made it."""

    ask: Ask
    answer: Answer
    wire: OpenAIResponses
    poll_s: float

    def submit(self, errand: Errand[chat_pb2.ChatInput]) -> HttpRequest:
        options = {name: value for name, value in self.ask.options.items() if name != "background"}
        body = encode_chat(replace(self.ask, options=options, stream=False), self.wire)
        body |= {"background": True, "store": True}  # what the provider does not remember cannot be asked after
        return HttpRequest("POST", self.wire.path, dialect.JSON_HEADERS, dialect.spell(body))

    def submitted(self, errand: Errand[chat_pb2.ChatInput], headers: Mapping[str, str], body: bytes) -> str:
        told = dialect.parse(RESPONSE, body).id or ""
        if not ID.fullmatch(told):
            raise UpstreamFailure(FailureKind.BROKEN)
        return told

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", self._path(operation), ACCEPT_JSON)

    def polled(
        self,
        errand: Errand[chat_pb2.ChatInput],
        operation: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Pending | Product[chat_pb2.Completion]:
        told = dialect.parse(RESPONSE, body).status
        if told in PENDING:
            return Pending()
        if told == "cancelled":  # by somebody else
            raise UpstreamFailure(FailureKind.TRANSIENT)
        BodyDecoder(self.ask, self.answer).read(body)
        return Product(chat_pb2.Completion(), self.answer.usage, self.answer.model, self.answer.response_id)

    def cancel(self, operation: str) -> HttpRequest:
        return HttpRequest("POST", f"{self._path(operation)}/cancel", ACCEPT_JSON)

    def _path(self, operation: str) -> str:
        return f"{self.wire.path}/{operation}"
