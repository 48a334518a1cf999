"""`/stream`: a chat as server-sent events. `message` is a ChatEvent, `done` the last of them, `error` how it failed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.message import Message

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Exchange, Headers, Reply
from trunkline_server.edge.facts import answer_headers, error_headers
from trunkline_server.edge.live.places import Places
from trunkline_server.edge.reading import text
from trunkline_server.edge.router import JSON
from trunkline_server.edge.rpc.codec import CODECS
from trunkline_server.edge.rpc.errors import spell
from trunkline_server.edge.status import http_status

_JSON = CODECS["json"]


class Events(Spelling):
    """One call; the number of an event is its id."""

    def __init__(self, exchange: Exchange, places: Places, taken: ExitStack) -> None:
        self._exchange = exchange
        self._places = places
        self._taken = taken

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        self._taken.enter_context(self._places.take(visit.call.caller.principal, "sse"))
        if self._exchange.head.method != "GET":
            return visit.procedure, await _JSON.read(visit.procedure, body)
        query = dict(parse_qsl(self._exchange.head.query))
        if "message" in query:
            return visit.procedure, await _JSON.read(visit.procedure, query["message"].encode())
        asked = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[text(query.get("prompt", ""))])
        return visit.procedure, chat_pb2.StreamRequest(
            input=chat_pb2.ChatInput(model=query.get("model", ""), messages=[asked])
        )

    def write(self, visit: Visit, response: Message) -> Reply:
        return Reply(200, (*JSON, *visit.trailers), _JSON.write(response))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        body = spell(error, visit.call.request_id)
        return Reply(http_status(error), (*JSON, *error_headers(visit, error)), body)

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        return (*sse.HEADERS, *answer_headers(visit, first))

    def piece(self, message: Any) -> bytes:
        event: chat_pb2.ChatEvent = message.event
        name = "done" if event.HasField("completed") else "message"
        return sse.event(_JSON.write(event), name, str(event.sequence))

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        return sse.event(spell(error, visit.call.request_id), "error")
