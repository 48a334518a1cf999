"""`/stream`: a chat as server-sent events. `message` is a ChatEvent, `done` the last of them, `error` how it failed.

A browser whose connection broke asks again by itself, with the id of the last event: it goes on there, or is refused.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.message import Message

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import resume_token
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Exchange, Headers, Reply
from trunkline_server.edge.facts import answer_headers, error_headers
from trunkline_server.edge.live.pages import metadata_of_page
from trunkline_server.edge.live.places import Places
from trunkline_server.edge.reading import text
from trunkline_server.edge.router import JSON
from trunkline_server.edge.rpc.codec import CODECS
from trunkline_server.edge.rpc.errors import spell
from trunkline_server.edge.status import http_status

_JSON = CODECS["json"]


class Events(Spelling):
    """One call; the number of an event is its id, of one that can be come back to its token."""

    def __init__(self, exchange: Exchange, places: Places, taken: ExitStack, resume: Procedure) -> None:
        self._resume = resume
        self._exchange = exchange
        self._places = places
        self._taken = taken

    def metadata(self, exchange: Exchange) -> Headers:
        return metadata_of_page(exchange)

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        self._taken.enter_context(self._places.take(visit.call.caller.holder, "sse"))
        if heard := self._exchange.header("last-event-id"):
            return self._resume, _resumed(heard)
        if self._exchange.head.method != "GET":
            return visit.procedure, await _JSON.read(visit.procedure, body)
        query = dict(parse_qsl(self._exchange.head.query))
        if "message" in query:
            return visit.procedure, await _JSON.read(visit.procedure, query["message"].encode())
        asked = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[text(query.get("prompt", ""))])
        return visit.procedure, chat_pb2.StreamRequest(
            input=chat_pb2.ChatInput(model=query.get("model", ""), messages=[asked]),
            resumable=query.get("resumable") == "true",
        )

    def write(self, visit: Visit, response: Message) -> Reply:
        return Reply(200, (*JSON, *visit.trailers), _JSON.write(response))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        body = spell(error, visit.call.request_id)
        return Reply(http_status(error), (*JSON, *error_headers(visit, error)), body)

    def silence(self, visit: Visit) -> Reply:
        """All has been heard: a browser that is told so does not ask again."""
        return Reply(204, visit.trailers)

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        return (*sse.HEADERS, *answer_headers(visit, first))

    def piece(self, message: Any) -> bytes:
        event: chat_pb2.ChatEvent = message.event
        name = "done" if event.HasField("completed") else "message"
        return sse.event(_JSON.write(event), name, event.resume_token or str(event.sequence))

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        return sse.event(spell(error, visit.call.request_id), "error")


def _resumed(heard: str) -> chat_pb2.ResumeStreamRequest:
    """To ask again for a stream that cannot be come back to would be to pay for it again."""
    if resume_token.parse(heard) is None:
        raise TrunklineError(Reason.RESUME_EXPIRED, "the stream was not resumable; ask without last-event-id")
    return chat_pb2.ResumeStreamRequest(resume_token=heard)
