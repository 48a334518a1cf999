"""HTTP's way through the boundary: one path for every spelling of a call, in one piece or as a stream."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.door.boundary import Boundary, Procedure, Visit
from trunkline_server.edge.exchange import Exchange, Headers, Reply

FILES_BYTES_MAX: Final = 33 * 1024 * 1024
"""A recording of 32 MiB and the form around it."""
_TIMEOUT_UNITS_S: Final[Mapping[str, float]] = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class Spelling(ABC):
    """How one call is spelled; made anew for each. A stream begins with its first message, so that an early failure
    is a clean status. What is never streamed needs only the first three. `takes_files`: a body may be larger."""

    takes_files = False

    def metadata(self, exchange: Exchange) -> Headers:
        """What the caller says beside the request."""
        return metadata_of(exchange)

    @abstractmethod
    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        """What is asked, which may be another RPC than the path says. The caller is known by then."""

    @abstractmethod
    def write(self, visit: Visit, response: Any) -> Reply:
        """The answer in one piece."""

    @abstractmethod
    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        """An error before anything was sent."""

    def silence(self, visit: Visit) -> Reply | None:
        """A stream that has nothing to say; None where it ends like any other."""
        return None

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        """The headers of a stream."""
        return visit.trailers

    def piece(self, message: Any) -> bytes:
        """One message of a stream; may be nothing."""
        return b""

    def end(self, visit: Visit) -> bytes:
        """The end of a stream."""
        return b""

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes | None:
        """The end of a stream that failed; None where its form has no word for that, so that the connection ends."""
        return b""


@dataclass(frozen=True, slots=True)
class Calls:
    """Every RPC that there is, by full name, for whoever comes over HTTP."""

    boundary: Boundary
    procedures: Mapping[str, Procedure]
    body_bytes_max: int

    async def serve(self, exchange: Exchange, name: str, spelling: Spelling) -> None:
        """The whole of a call."""
        procedure = self.procedures[name]
        visit = self.boundary.visit(procedure, spelling.metadata(exchange), None, exchange.certificate)
        try:
            procedure, request = await self._enter(exchange, visit, procedure, spelling)
            if procedure.method.streams:
                await _stream(exchange, visit, request, spelling)
            elif procedure.method.gathers:  # over HTTP all of it comes in one message
                exchange.respond(spelling.write(visit, await visit.gathered(_one(request))))
            else:
                exchange.respond(spelling.write(visit, await visit.once(request)))
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as an answer
            _fail(exchange, visit, spelling, error)

    async def _enter(
        self, exchange: Exchange, visit: Visit, procedure: Procedure, spelling: Spelling
    ) -> tuple[Procedure, Message]:
        told_s = time_told_s(exchange)
        visit.turn_to(procedure, told_s)
        await visit.identify(exchange.head)
        body = await exchange.body(FILES_BYTES_MAX if spelling.takes_files else self.body_bytes_max)
        visit.keep(body)
        chosen, request = await spelling.read(visit, body)
        if chosen is not procedure:
            visit.turn_to(chosen, told_s)
        return chosen, request


async def _one(request: Message) -> AsyncGenerator[Message, None]:
    yield request


async def _stream(exchange: Exchange, visit: Visit, request: Message, spelling: Spelling) -> None:
    async def send(message: Message) -> None:
        data = spelling.piece(message)
        if not exchange.begun:
            exchange.begin(200, spelling.begin(visit, message))
        if data:
            await exchange.write(data)

    await visit.many(request, send)
    if not exchange.begun and (reply := spelling.silence(visit)) is not None:
        exchange.respond(reply)
        return
    if not exchange.begun:
        exchange.begin(200, spelling.begin(visit, None))
    exchange.end(spelling.end(visit))


def _fail(exchange: Exchange, visit: Visit, spelling: Spelling, error: BaseException) -> None:
    if exchange.gone:
        visit.left()
        raise asyncio.CancelledError from None
    told = visit.failed(error)
    if not exchange.begun:
        exchange.respond(spelling.refuse(visit, told))
    elif (last := spelling.break_off(visit, told)) is not None:
        exchange.end(last)


def metadata_of(exchange: Exchange) -> Headers:
    """Anthropic's clients send the key under a name of its own."""
    headers = exchange.head.headers
    return [("authorization", f"Bearer {value}") if name == "x-api-key" else (name, value) for name, value in headers]


def time_told_s(exchange: Exchange) -> float | None:
    """How long the caller waits. Raises VALIDATION."""
    if told := exchange.header("connect-timeout-ms"):
        return _whole(told, "connect-timeout-ms", 10) * 1e-3
    if told := exchange.header("grpc-timeout"):
        unit_s = _TIMEOUT_UNITS_S.get(told[-1])
        if unit_s is None:
            raise invalid("grpc-timeout", "must end with a unit: H, M, S, m, u or n")
        return _whole(told[:-1], "grpc-timeout", 8) * unit_s
    return None


def _whole(text: str, name: str, digits_max: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits_max):
        raise invalid(name, f"must be a number of at most {digits_max} digits")
    return int(text)
