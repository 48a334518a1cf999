"""gRPC-Web: gRPC's messages, its trailers as the last of the body, and all of it in base64 for old browsers."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from google.protobuf.message import Message

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.door.status import MESSAGE_CHARS_MAX, trailers_of
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Exchange, Headers, Reply
from trunkline_server.edge.rpc.codec import Codec
from trunkline_server.edge.rpc.envelope import unwrap, wrap
from trunkline_server.edge.status import number_of

_TRAILERS: Final = 0x80


class GrpcWeb(Spelling):
    """Unary and streamed calls look the same; the HTTP status is always 200."""

    def __init__(self, exchange: Exchange, codec: Codec) -> None:
        self._codec = codec
        self._text = exchange.header("content-type").startswith("application/grpc-web-text")
        self._content_type = f"application/grpc-web{'-text' if self._text else ''}+{codec.name}"

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        return visit.procedure, await self._codec.read(visit.procedure, unwrap(_decode(body) if self._text else body))

    def write(self, visit: Visit, response: Message) -> Reply:
        return Reply(200, self.begin(visit, response), self.piece(response) + self.end(visit))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return Reply(200, self.begin(visit, None), self.break_off(visit, error))

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        return (("content-type", self._content_type), ("x-request-id", visit.call.request_id))

    def piece(self, message: Message) -> bytes:
        return self._spell(wrap(self._codec.write(message)))

    def end(self, visit: Visit) -> bytes:
        return self._trailers((("grpc-status", "0"), *visit.trailers))

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        told = (
            ("grpc-status", str(number_of(error))),
            ("grpc-message", quote(error.message[:MESSAGE_CHARS_MAX], safe=" !#$&'()*+,/:;<=>?@[]^_`{|}~\"\\")),
        )
        return self._trailers((*told, *visit.trailers, *trailers_of(error, visit.call.request_id).items()))

    def _trailers(self, trailers: Iterable[tuple[str, str | bytes]]) -> bytes:
        lines = (f"{key}: {_printable(value)}\r\n" for key, value in trailers)
        return self._spell(wrap("".join(lines).encode("ascii", "replace"), _TRAILERS))

    def _spell(self, data: bytes) -> bytes:
        return b64encode(data) if self._text else data


def _printable(value: str | bytes) -> str:
    return b64encode(value).decode().rstrip("=") if isinstance(value, bytes) else value


def _decode(body: bytes) -> bytes:
    """Pieces that were padded each by itself may stand in a row."""
    try:
        return b"".join(b64decode(piece + b"=" * (-len(piece) % 4)) for piece in body.split(b"=") if piece)
    except ValueError:
        raise TrunklineError(Reason.MALFORMED_MESSAGE, "the body is not base64") from None
