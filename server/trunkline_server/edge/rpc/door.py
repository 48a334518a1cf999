"""`/trunkline.v1.<Service>/<Method>`: which of the ways to spell a call the caller has chosen."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import orjson
from google.protobuf.message import Message

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.calls import Calls, Spelling
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.router import JSON, Route
from trunkline_server.edge.rpc.codec import CODECS, Codec
from trunkline_server.edge.rpc.connect import Streamed, Unary, unknown
from trunkline_server.edge.rpc.grpc_web import GrpcWeb

PREFIX: Final = "/trunkline.v1."
QUERY_CHARS_MAX: Final = 16 * 1024
_CODECS: Final = {"": "proto", **{f"+{name}": name for name in CODECS}}
_SPELLINGS: Final[dict[str, tuple[Callable[[Exchange, Codec], Spelling], Codec]]] = {
    **{f"application/{name}": (Unary, codec) for name, codec in CODECS.items()},
    **{f"application/connect+{name}": (Streamed, codec) for name, codec in CODECS.items()},
    **{f"application/grpc-web{end}": (GrpcWeb, CODECS[name]) for end, name in _CODECS.items()},
    **{f"application/grpc-web-text{end}": (GrpcWeb, CODECS[name]) for end, name in _CODECS.items()},
}


@dataclass(frozen=True, slots=True)
class RpcDoor:
    """The handler of the whole contract."""

    calls: Calls

    def routes(self) -> list[Route]:
        return [Route("POST", f"{PREFIX}*", self.post), Route("GET", f"{PREFIX}*", self.get)]

    async def post(self, exchange: Exchange) -> None:
        procedure = self.calls.procedures.get(exchange.path)
        if procedure is None:
            exchange.respond(unknown(exchange))
            return
        content_type = exchange.header("content-type").partition(";")[0].strip().lower()
        make, codec = _SPELLINGS.get(content_type, (None, None))
        if make is None or codec is None or not _fits(procedure, content_type):
            exchange.respond(_unsupported())
            return
        await self.calls.serve(exchange, exchange.path, make(exchange, codec))

    async def get(self, exchange: Exchange) -> None:
        """Connect's GET, for calls that change nothing."""
        procedure = self.calls.procedures.get(exchange.path)
        if procedure is None or not procedure.method.reads or procedure.method.streams:
            exchange.respond(unknown(exchange) if procedure is None else Reply(405, (("allow", "POST"),)))
            return
        query = dict(parse_qsl(exchange.head.query[:QUERY_CHARS_MAX]))
        codec = CODECS.get(query.get("encoding", "json"))
        if codec is None or query.get("compression", "identity") != "identity":
            exchange.respond(_unsupported())
            return
        await self.calls.serve(exchange, exchange.path, _Got(exchange, codec, query))


class _Got(Unary):
    """A unary call whose message stands in the query."""

    def __init__(self, exchange: Exchange, codec: Codec, query: dict[str, str]) -> None:
        super().__init__(exchange, codec)
        self._query = query

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        message = self._query.get("message", "")
        return await super().read(visit, _decoded(message) if self._query.get("base64") == "1" else message.encode())


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise TrunklineError(Reason.MALFORMED_MESSAGE, "`message` is not base64") from None


def _fits(procedure: Procedure, content_type: str) -> bool:
    """Connect has a content type for streams; lines of JSON are for callers who have nothing else."""
    if content_type.startswith("application/connect+"):
        return procedure.method.streams
    return not procedure.method.streams or content_type != "application/proto"


def _unsupported() -> Reply:
    told = {"code": "unknown", "message": "this content type is not taken here; send application/json"}
    return Reply(415, (*JSON, ("accept-post", ", ".join(_SPELLINGS))), orjson.dumps(told))
