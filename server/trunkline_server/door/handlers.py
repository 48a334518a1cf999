"""gRPC's way through the boundary: exchanges become visits, and errors statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

from google.protobuf.message import Message

from trunkline_server.door.boundary import Boundary, Procedure, Visit
from trunkline_server.door.code import Code
from trunkline_server.door.http2.exchange import Exchange, Rpc
from trunkline_server.door.signed import content_of
from trunkline_server.door.status import CODES, MESSAGE_CHARS_MAX, trailers_of


def rpcs_of(boundary: Boundary, procedures: Iterable[Procedure]) -> dict[str, Rpc]:
    """What serves each method of a service, by its path."""
    return {each.method.name: _served(boundary, each) for each in procedures}


def _served(boundary: Boundary, procedure: Procedure) -> Rpc:
    if procedure.method.gathers:
        return _gathered(boundary, procedure)
    return _streamed(boundary, procedure) if procedure.method.streams else _unary(boundary, procedure)


def _gathered(boundary: Boundary, procedure: Procedure) -> Rpc:
    async def serve(exchange: Exchange) -> None:
        async def requests() -> AsyncGenerator[Message, None]:
            while (data := await exchange.receive()) is not None:
                yield procedure.read(data)

        visit = _visit(boundary, procedure, exchange)
        try:
            await visit.identify()
            response = await visit.gathered(requests())
            await exchange.send(response.SerializeToString())
            exchange.finish(Code.OK, metadata=visit.trailers)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
            _fail(visit, exchange, error)

    return Rpc(serve, uploads=True)


def _unary(boundary: Boundary, procedure: Procedure) -> Rpc:
    async def serve(exchange: Exchange) -> None:
        visit = _visit(boundary, procedure, exchange)
        try:
            await visit.identify()
            if visit.promised is not None:
                visit.keep(content_of(exchange.request))
            response = await visit.once(procedure.read(exchange.request))
            await exchange.send(response.SerializeToString())
            exchange.finish(Code.OK, metadata=visit.trailers)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
            _fail(visit, exchange, error)

    return Rpc(serve)


def _streamed(boundary: Boundary, procedure: Procedure) -> Rpc:
    async def serve(exchange: Exchange) -> None:
        async def send(message: Message) -> None:
            await exchange.send(message.SerializeToString())

        visit = _visit(boundary, procedure, exchange)
        try:
            await visit.identify()
            if visit.promised is not None:
                visit.keep(content_of(exchange.request))
            await visit.many(procedure.read(exchange.request), send)
            exchange.finish(Code.OK, metadata=visit.trailers)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
            _fail(visit, exchange, error)

    return Rpc(serve)


def _visit(boundary: Boundary, procedure: Procedure, exchange: Exchange) -> Visit:
    deadline = exchange.deadline
    told_s = None if deadline is None else deadline - asyncio.get_running_loop().time()
    return boundary.visit(procedure, exchange.metadata, told_s, exchange.certificate)


def _fail(visit: Visit, exchange: Exchange, error: BaseException) -> None:
    if exchange.left:
        visit.left()
        return
    told = visit.failed(error)
    trailers = (*visit.trailers, *trailers_of(told, visit.call.request_id).items())
    exchange.finish(CODES[told.reason], told.message[:MESSAGE_CHARS_MAX], trailers)
