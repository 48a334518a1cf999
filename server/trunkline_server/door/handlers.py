"""gRPC's way through the boundary: handlers made of procedures, and statuses of errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from trunkline_server.door.boundary import Boundary, Procedure, Visit
from trunkline_server.door.status import CODES, MESSAGE_CHARS_MAX, trailers_of

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


def handler_of(boundary: Boundary, name: str, procedures: Iterable[Procedure]) -> grpc.GenericRpcHandler:
    """The handler of one service. Requests come as bytes: gRPC would tell undecodable ones as UNKNOWN."""
    handlers = {each.method.name.rpartition("/")[2]: _method(boundary, each) for each in procedures}
    return grpc.method_handlers_generic_handler(name, handlers)


def _method(boundary: Boundary, procedure: Procedure) -> grpc.RpcMethodHandler[Any, Any]:
    write = procedure.reply.SerializeToString
    if procedure.method.streams:
        return grpc.unary_stream_rpc_method_handler(_streamed(boundary, procedure), None, write)
    return grpc.unary_unary_rpc_method_handler(_unary(boundary, procedure), None, write)


def _unary(boundary: Boundary, procedure: Procedure) -> Callable[[bytes, Context], Awaitable[Message]]:
    async def handle(data: bytes, context: Context) -> Message:
        visit = _visit(boundary, procedure, context)
        try:
            await visit.identify()
            response = await visit.once(procedure.read(data))
            context.set_trailing_metadata(visit.trailers)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
            await _fail(visit, context, error)
        return response

    return handle


def _streamed(boundary: Boundary, procedure: Procedure) -> Callable[[bytes, Context], Awaitable[None]]:
    async def handle(data: bytes, context: Context) -> None:
        visit = _visit(boundary, procedure, context)
        try:
            await visit.identify()
            await visit.many(procedure.read(data), context.write)
            context.set_trailing_metadata(visit.trailers)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
            await _fail(visit, context, error)

    return handle


def _visit(boundary: Boundary, procedure: Procedure, context: Context) -> Visit:
    told_s = cast("float | None", context.time_remaining())
    return boundary.visit(procedure, context.invocation_metadata() or (), told_s)


async def _fail(visit: Visit, context: Context, error: BaseException) -> NoReturn:
    if context.done():
        visit.left()
        raise asyncio.CancelledError from None
    told = visit.failed(error)
    trailers = visit.trailers + tuple(trailers_of(told, visit.call.request_id).items())
    await context.abort(CODES[told.reason], told.message[:MESSAGE_CHARS_MAX], trailers)
