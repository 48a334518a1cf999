"""The one way in: names the caller, bounds the time, checks the request, and turns whatever happens into a status.

Services see a `Call` and the request; no gRPC type goes further than this room.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.door.caller import Callers
from trunkline_server.door.contract import Contract, Method
from trunkline_server.door.journal import Journal
from trunkline_server.door.metadata import ACCOUNT, IDEMPOTENCY_KEY, USER, Said
from trunkline_server.door.pressure import Pressure
from trunkline_server.door.pulse import Pulse
from trunkline_server.door.replays import Many, Once, Replays
from trunkline_server.door.status import CODES, MESSAGE_CHARS_MAX, trailers_of

_log = logging.getLogger(__name__)

DEADLINE_S_MAX: Final = 900.0
DEADLINE_S_MIN: Final = 0.05
SPARED: Final = "admin:"
"""Methods of such scopes are for operators, who must get in when nobody else does."""
_MALFORMED: Final = object()

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a call may take when its caller does not say, by method name; `other_s` for the rest."""

    by_method: Mapping[str, float]
    other_s: float = 10.0

    def of(self, method: str) -> float:
        return self.by_method.get(method, self.other_s)


class Boundary:
    """Makes gRPC handlers of services."""

    def __init__(
        self,
        *,
        contract: Contract,
        callers: Callers,
        replays: Replays,
        journal: Journal,
        deadlines: Deadlines,
        pressure: Pressure,
        heartbeat_s: float,
    ) -> None:
        self._contract = contract
        self._methods = {method.name: method for method in contract.methods()}
        self._callers = callers
        self._replays = replays
        self._journal = journal
        self._deadlines = deadlines
        self._pressure = pressure
        self._heartbeat_s = heartbeat_s

    def handler(self, descriptor: ServiceDescriptor, service: object) -> grpc.GenericRpcHandler:
        """Every method of the proto service, served by the method of the same name on `service`."""
        handlers = {
            method.name: self._method(method, getattr(service, _snake(method.name))) for method in descriptor.methods
        }
        return grpc.method_handlers_generic_handler(descriptor.full_name, handlers)

    def _method(self, descriptor: MethodDescriptor, function: Callable[..., Any]) -> grpc.RpcMethodHandler[Any, Any]:
        method = self._methods[f"/{descriptor.containing_service.full_name}/{descriptor.name}"]
        read = _reader(GetMessageClass(descriptor.input_type))
        reply = GetMessageClass(descriptor.output_type)
        if method.streams:
            streamed = self._streamed(method, function, reply)
            return grpc.unary_stream_rpc_method_handler(streamed, read, reply.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(self._unary(method, function, reply), read, reply.SerializeToString)

    def _unary(
        self, method: Method, function: Once, reply: type[Message]
    ) -> Callable[[Any, Context], Awaitable[Message]]:
        async def handle(request: Any, context: Context) -> Message:
            began = time.perf_counter()
            said = Said.read(context.invocation_metadata() or ())
            call = self._announce(method, said, context)
            try:
                await self._enter(method, call, said, request)
                async with asyncio.timeout_at(call.deadline):
                    response = await self._replays.once(call, request, function, reply)
                context.set_trailing_metadata(_metadata(call))
                self._record(call, began, "OK")
            except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
                await self._fail(call, context, began, error)
            return response

        return handle

    def _streamed(
        self, method: Method, function: Many, reply: type[Message]
    ) -> Callable[[Any, Context], Awaitable[None]]:
        async def handle(request: Any, context: Context) -> None:
            began = time.perf_counter()
            said = Said.read(context.invocation_metadata() or ())
            call = self._announce(method, said, context)
            try:
                await self._enter(method, call, said, request)
                async with asyncio.timeout_at(call.deadline):
                    with Pulse(context, call, self._heartbeat_s) as pulse:
                        async with aclosing(self._replays.many(call, request, function, reply)) as messages:
                            async for message in messages:
                                await pulse.write(message)
                context.set_trailing_metadata(_metadata(call))
                self._record(call, began, "OK")
            except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a status
                await self._fail(call, context, began, error)

        return handle

    def _announce(self, method: Method, said: Said, context: Context) -> Call:
        """The call as it says it is, before anything is believed."""
        told_s = cast("float | None", context.time_remaining())
        own_s = self._deadlines.of(method.name.rpartition("/")[2])
        time_s = min(own_s if told_s is None else told_s, DEADLINE_S_MAX)
        return Call(
            method=method.name,
            caller=Callers.NOBODY,
            request_id=said.request_id,
            deadline=asyncio.get_running_loop().time() + time_s,
            user_id=said.name(USER),
            account_id=said.name(ACCOUNT),
            idempotency_key=said.name(IDEMPOTENCY_KEY),
        )

    async def _enter(self, method: Method, call: Call, said: Said, request: Any) -> None:
        call.caller = await self._callers.identify(said.tokens, method.scope)
        said.check()
        if not method.scope.startswith(SPARED):
            await self._pressure.enter(call.caller.tenant_id)
            call.is_inside = True
        if request is _MALFORMED:
            raise TrunklineError(Reason.MALFORMED_MESSAGE, f"the request is no {method.request}")
        self._contract.validate(request)
        if call.deadline - asyncio.get_running_loop().time() < DEADLINE_S_MIN:
            raise TrunklineError(Reason.DEADLINE, "no time is left for this call", metadata={"stage": "entry"})

    async def _fail(self, call: Call, context: Context, began: float, error: BaseException) -> NoReturn:
        if context.done():
            self._record(call, began, "CANCELLED")
            raise asyncio.CancelledError from None
        told = _told(error)
        call.facts["reason"] = told.reason.value
        self._record(call, began, CODES[told.reason].name)
        trailers = _metadata(call) + tuple(trailers_of(told, call.request_id).items())
        await context.abort(CODES[told.reason], told.message[:MESSAGE_CHARS_MAX], trailers)

    def _record(self, call: Call, began: float, code: str) -> None:
        if call.is_inside:
            call.is_inside = False
            self._pressure.leave(call.caller.tenant_id)
        duration_ms = round((time.perf_counter() - began) * 1000, 1)
        fields = {"method": call.method, "code": code, "ms": duration_ms, "request_id": call.request_id}
        self._journal.record("call.ended", fields | call.facts)


def _reader(message_class: type[Message]) -> Callable[[bytes], object]:
    """Undecodable bytes become a mark that the handler refuses; left to gRPC they would be UNKNOWN."""

    def read(data: bytes) -> object:
        try:
            return message_class.FromString(data)
        except DecodeError:
            return _MALFORMED

    return read


def _metadata(call: Call) -> tuple[tuple[str, str | bytes], ...]:
    return (("x-request-id", call.request_id), *call.trailers.items())


def _told(error: BaseException) -> TrunklineError:
    """What the caller is told; what they are not told is logged under an id that both have."""
    if isinstance(error, TrunklineError):
        return error
    if isinstance(error, asyncio.CancelledError):  # not by the caller: gRPC would leave a caller without any end
        return TrunklineError(Reason.CANCELLED, "the call was cancelled")
    if isinstance(error, TimeoutError):
        return TrunklineError(Reason.DEADLINE, "the call's time is over", metadata={"stage": "call"})
    error_id = new_uuid().hex[-12:]
    frames = " < ".join(
        f"{each.name}:{each.lineno}" for each in reversed(traceback.extract_tb(error.__traceback__)[-8:])
    )
    _log.error("call.fault id=%s type=%s at=%s", error_id, type(error).__name__, frames)
    return TrunklineError(Reason.INTERNAL, f"internal error {error_id}", metadata={"errorId": error_id})


def _snake(name: str) -> str:
    """`CompleteMany` is served by `complete_many`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
