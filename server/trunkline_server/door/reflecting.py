"""Reflection: open where only this machine can come, for keys with the scope `admin:reflect` elsewhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
from grpc_reflection.v1alpha import reflection

from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.caller import Callers
from trunkline_server.door.metadata import Said
from trunkline_server.door.status import CODES, trailers_of

SCOPE: Final = "admin:reflect"
_PREFIX: Final = "/grpc.reflection."

Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]"


def is_local(address: str) -> bool:
    """Whether only this machine can reach a listener."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reflect(server: grpc.aio.Server, services: tuple[str, ...]) -> None:
    """Tell whoever asks what there is."""
    reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), server)


class ReflectionGuard(grpc.aio.ServerInterceptor):
    """Turns away whoever asks for reflection without the scope."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        if handler_call_details.method.startswith(_PREFIX):
            said = Said.read(handler_call_details.invocation_metadata or ())
            try:
                await self._callers.identify(said.tokens, SCOPE)
            except TrunklineError as error:
                return _refusing(error, said.request_id)
        return await continuation(handler_call_details)


def _refusing(error: TrunklineError, request_id: str) -> grpc.RpcMethodHandler[Any, Any]:
    async def refuse(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(CODES[error.reason], error.message, tuple(trailers_of(error, request_id).items()))

    return grpc.stream_stream_rpc_method_handler(refuse)
