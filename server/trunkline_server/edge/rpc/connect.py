"""Connect: a unary call is a plain HTTP exchange, a stream is envelopes whose last one tells the end."""

from __future__ import annotations

from typing import Final

import orjson
from google.protobuf.message import Message

from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Exchange, Headers, Reply
from trunkline_server.edge.router import JSON
from trunkline_server.edge.rpc.codec import Codec
from trunkline_server.edge.rpc.envelope import unwrap, wrap
from trunkline_server.edge.rpc.errors import describe, spell
from trunkline_server.edge.status import http_status

_END: Final = 0x02


class Unary(Spelling):
    """A call in one piece; a plain caller (no `connect-protocol-version`) gets a stream as lines of JSON."""

    def __init__(self, exchange: Exchange, codec: Codec) -> None:
        self._codec = codec
        self._prefix = "trailer-" if exchange.header("connect-protocol-version") else ""
        self._encoding = exchange.header("content-encoding")

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        if self._encoding not in ("", "identity"):
            raise invalid("content-encoding", "must be identity", Reason.MALFORMED_MESSAGE)
        return visit.procedure, await self._codec.read(visit.procedure, body)

    def write(self, visit: Visit, response: Message) -> Reply:
        return Reply(200, self._headers(visit, f"application/{self._codec.name}"), self._codec.write(response))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        body = spell(error, visit.call.request_id)
        return Reply(http_status(error), self._headers(visit, "application/json"), body)

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        return (("content-type", "application/x-ndjson"), ("x-request-id", visit.call.request_id))

    def piece(self, message: Message) -> bytes:
        return self._codec.write(message) + b"\n"

    def end(self, visit: Visit) -> bytes:
        return b""

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        return orjson.dumps({"error": describe(error, visit.call.request_id)}, option=orjson.OPT_APPEND_NEWLINE)

    def _headers(self, visit: Visit, content_type: str) -> Headers:
        return (("content-type", content_type), *((self._prefix + key, value) for key, value in visit.trailers))


class Streamed(Spelling):
    """Envelopes. An error is always inside the last one, under status 200."""

    def __init__(self, exchange: Exchange, codec: Codec) -> None:
        self._codec = codec

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        return visit.procedure, await self._codec.read(visit.procedure, unwrap(body))

    def write(self, visit: Visit, response: Message) -> Reply:
        return Reply(200, self.begin(visit, response), self.piece(response) + self.end(visit))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return Reply(200, self.begin(visit, None), self.break_off(visit, error))

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        content_type = f"application/connect+{self._codec.name}"
        return (("content-type", content_type), ("x-request-id", visit.call.request_id))

    def piece(self, message: Message) -> bytes:
        return wrap(self._codec.write(message))

    def end(self, visit: Visit) -> bytes:
        return wrap(orjson.dumps({"metadata": _listed(visit)}), _END)

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        told = {"error": describe(error, visit.call.request_id), "metadata": _listed(visit)}
        return wrap(orjson.dumps(told), _END)


def unknown(exchange: Exchange) -> Reply:
    """A method that does not exist."""
    told = {"code": "unimplemented", "message": f"there is no method {exchange.path[:200]!r}"}
    return Reply(404, JSON, orjson.dumps(told))


def _listed(visit: Visit) -> dict[str, list[str]]:
    return {key: [value] for key, value in visit.trailers}
