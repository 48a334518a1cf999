"""The one way in, whatever a call came over: names the caller, bounds the time, checks the request, names what happens.

Services see a `Call` and the request; the doors see a `Visit`, its answers, and a `TrunklineError` for all else.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.priority import at_most
from trunkline_server.core.trace import Trace, Tracer
from trunkline_server.door.browser import require_bound
from trunkline_server.door.caller import Callers
from trunkline_server.door.contract import Contract, Method
from trunkline_server.door.journal import Journal
from trunkline_server.door.metadata import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    PRIORITY,
    SIGNATURE,
    TRACEPARENT,
    USER,
    Metadata,
    Said,
)
from trunkline_server.door.meter import CallMeter
from trunkline_server.door.pressure import Pressure
from trunkline_server.door.pulse import Pulse
from trunkline_server.door.replays import Replays
from trunkline_server.door.signed import Claim, Line, Posted, require_kept, uncovered
from trunkline_server.door.status import CODES
from trunkline_server.door.witness import Witness
from trunkline_server.gateway.streams.streams import Streams

_log = logging.getLogger(__name__)

DEADLINE_S_MAX: Final = 900.0
DEADLINE_S_MIN: Final = 0.05
SPARED: Final = "admin:"
"""Methods of such scopes are for operators, who must get in when nobody else does."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a call may take when its caller does not say, by method name; `other_s` for the rest."""

    by_method: Mapping[str, float]
    other_s: float = 10.0

    def of(self, method: str) -> float:
        return self.by_method.get(method, self.other_s)


@dataclass(frozen=True, slots=True)
class Procedure:
    """One RPC and what serves it."""

    method: Method
    function: Callable[..., Any]
    request: type[Message]
    reply: type[Message]
    time_s: float
    """How long it may take when its caller does not say."""
    may_resume: bool = False
    """Its requests can ask for a stream that its caller may come back to."""

    def read(self, data: bytes) -> Message:
        """The request in binary. Raises MALFORMED_MESSAGE."""
        try:
            return self.request.FromString(data)
        except DecodeError:
            raise self.malformed() from None

    def malformed(self) -> TrunklineError:
        return TrunklineError(Reason.MALFORMED_MESSAGE, f"the request is no {self.method.request}")


@dataclass(frozen=True, slots=True)
class Boundary:
    """What every call passes on its way in and out."""

    contract: Contract
    callers: Callers
    replays: Replays
    journal: Journal
    deadlines: Deadlines
    pressure: Pressure
    heartbeat_s: float
    witness: Witness
    streams: Streams
    meter: CallMeter | None = None
    tracer: Tracer | None = None

    def procedures(self, descriptor: ServiceDescriptor, service: object) -> dict[str, Procedure]:
        """Every method of the proto service, served by the method of the same name on `service`; by full name."""
        made = (self._procedure(each, getattr(service, _snake(each.name))) for each in descriptor.methods)
        return {procedure.method.name: procedure for procedure in made}

    def visit(
        self,
        procedure: Procedure,
        metadata: Metadata,
        told_s: float | None,
        certificate: object = None,
    ) -> Visit:
        """A call as it says it is, before anything is believed; `told_s` is the time that its caller gives it, and
        `certificate` the one that they showed.
        """
        return Visit(self, procedure, Said.read(metadata), told_s, certificate)

    def _procedure(self, descriptor: MethodDescriptor, function: Callable[..., Any]) -> Procedure:
        return Procedure(
            method=self.contract.method(f"/{descriptor.containing_service.full_name}/{descriptor.name}"),
            function=function,
            request=GetMessageClass(descriptor.input_type),
            reply=GetMessageClass(descriptor.output_type),
            time_s=self.deadlines.of(descriptor.name),
            may_resume="resumable" in descriptor.input_type.fields_by_name,
        )


class Visit:
    """One call from its first to its last word.

    visit ──▶ identify ──▶ once | many ──▶ answered
      └─────────┴─────────────┴──────────▶ failed, or left by its caller
    """

    __slots__ = ("_began", "_boundary", "_certificate", "_said", "_told_s", "call", "procedure", "promised")

    def __init__(
        self, boundary: Boundary, procedure: Procedure, said: Said, told_s: float | None, certificate: object
    ) -> None:
        self._certificate = certificate
        self._began = time.perf_counter()
        self._boundary = boundary
        self.procedure = procedure
        self._said = said
        self._told_s = told_s
        self.promised: bytes | None = None
        """What the content of a signed request has to hash to; no call goes on before that was kept."""
        names = said.names
        self.call = Call(
            method=procedure.method.name,
            caller=Callers.NOBODY,
            request_id=said.request_id,
            deadline=self._deadline(),
            user_id=names.get(USER, ""),
            account_id=names.get(ACCOUNT, ""),
            idempotency_key=names.get(IDEMPOTENCY_KEY, ""),
        )
        if boundary.tracer is not None:
            self.call.trace = boundary.tracer.begin(procedure.method.name, said.name(TRACEPARENT))

    def turn_to(self, procedure: Procedure, told_s: float | None = None) -> None:
        """What the caller wants shows in the request: another RPC, of the same scope, or in another time."""
        self.procedure = procedure
        self._told_s = told_s
        self.call.method = procedure.method.name
        self.call.deadline = self._deadline()

    def _deadline(self) -> float:
        time_s = self.procedure.time_s if self._told_s is None else self._told_s
        return asyncio.get_running_loop().time() + min(time_s, DEADLINE_S_MAX)

    async def identify(self, line: Line | None = None) -> None:
        """Who calls, and whether they may; to be asked before their request is looked at. Without `line`: by gRPC."""
        said, scope = self._said, self.procedure.method.scope
        claim = self._claim(line) if SIGNATURE in said.names and not said.tokens else None
        self.call.caller = caller = await self._boundary.callers.identify(said.tokens, scope, self._certificate, claim)
        said.check()
        if caller.token is not None:
            require_bound(caller.token, self.procedure.method.name, said)
        if caller.user_id:
            self.call.user_id = _own(caller.user_id, self.call.user_id)
        priority = at_most(caller.priority, said.name(PRIORITY))
        if not self.procedure.method.scope.startswith(SPARED):
            await self._boundary.pressure.enter(caller.tenant_id, priority, self.call.deadline)
            self.call.is_inside = True

    def _claim(self, line: Line | None) -> Claim:
        claim = Claim.of(self._said, line or Posted(self.procedure.method.name))
        self.promised = claim.digest
        return claim

    def keep(self, content: bytes) -> None:
        """The content as it came is what a signature promised. Raises AUTH_INVALID."""
        if self.promised is not None:
            require_kept(self.promised, content)
            self.promised = None

    async def once(self, request: Message) -> Message:
        """A unary call."""
        self._check(request)
        async with asyncio.timeout_at(self.call.deadline):
            if self.procedure.method.is_audited:
                async with self._boundary.witness.watching(self.call, request):
                    return await self._once(request)
            return await self._once(request)

    def _once(self, request: Message) -> Awaitable[Message]:
        return self._boundary.replays.once(self.call, request, self.procedure.function, self.procedure.reply)

    async def gathered(self, requests: AsyncIterator[Message]) -> Message:
        """A call whose request comes in many messages."""
        self._require_ready()
        async with asyncio.timeout_at(self.call.deadline):
            response: Message = await self.procedure.function(self.call, self._checked(requests))
            return response

    async def _checked(self, requests: AsyncIterator[Message]) -> AsyncGenerator[Message, None]:
        async for request in requests:
            self._boundary.contract.validate(request)
            yield request

    async def many(self, request: Message, send: Callable[[Message], Awaitable[object]]) -> None:
        """A streamed call; `send` waits while the caller does not read."""
        self._check(request)
        async with asyncio.timeout_at(self.call.deadline):
            with Pulse(send, self.call, self._boundary.heartbeat_s) as pulse:
                async with aclosing(self._messages(request)) as messages:
                    async for message in messages:
                        await pulse.write(message)

    def _messages(self, request: Any) -> AsyncGenerator[Message, None]:
        procedure, replays = self.procedure, self._boundary.replays
        if procedure.may_resume and request.resumable:
            return self._boundary.streams.recorded(
                self.call, lambda call: replays.many(call, request, procedure.function, procedure.reply)
            )
        return replays.many(self.call, request, procedure.function, procedure.reply)

    @property
    def trailers(self) -> tuple[tuple[str, str], ...]:
        """What the caller is told beside the answer."""
        return (("x-request-id", self.call.request_id), *self.call.trailers.items())

    def answered(self) -> None:
        self._record("OK")

    def left(self) -> None:
        """The caller is gone."""
        self._record("CANCELLED")

    def failed(self, error: BaseException) -> TrunklineError:
        """What the caller is told."""
        told = _told(error)
        self.call.facts["reason"] = told.reason.value
        self._record(CODES[told.reason].name)
        return told

    def _check(self, request: Message) -> None:
        self._boundary.contract.validate(request)
        self._require_ready()

    def _require_ready(self) -> None:
        if self.promised is not None:
            raise uncovered()
        if self.call.deadline - asyncio.get_running_loop().time() < DEADLINE_S_MIN:
            raise TrunklineError(Reason.DEADLINE, "no time is left for this call", metadata={"stage": "entry"})

    def _record(self, code: str) -> None:
        call = self.call
        if call.is_inside:
            call.is_inside = False
            self._boundary.pressure.leave(call.caller.tenant_id)
        duration_s = time.perf_counter() - self._began
        if self._boundary.meter is not None:
            self._boundary.meter.ended(call.method, code, duration_s)
        if call.trace is not None:
            self._tell(call.trace, code)
        duration_ms = round(duration_s * 1000, 1)
        fields = {"method": call.method, "code": code, "ms": duration_ms, "request_id": call.request_id}
        self._boundary.journal.record("call.ended", fields | call.facts)

    def _tell(self, trace: Trace, code: str) -> None:
        trace.method, trace.code, trace.ended_s = self.call.method, code, time.perf_counter()
        trace.reason, trace.request_id = str(self.call.facts.get("reason", "")), self.call.request_id
        if self._boundary.tracer is not None:
            self._boundary.tracer.tell(trace)


def _told(error: BaseException) -> TrunklineError:
    """What the caller is told; what they are not told is logged under an id that both have."""
    if isinstance(error, TrunklineError):
        return error
    if isinstance(error, asyncio.CancelledError):  # not by the caller, who would be left without any end
        return TrunklineError(Reason.CANCELLED, "the call was cancelled")
    if isinstance(error, TimeoutError):
        return TrunklineError(Reason.DEADLINE, "the call's time is over", metadata={"stage": "call"})
    error_id = new_uuid().hex[-12:]
    frames = " < ".join(
        f"{each.name}:{each.lineno}" for each in reversed(traceback.extract_tb(error.__traceback__)[-8:])
    )
    _log.error("call.fault id=%s type=%s at=%s", error_id, type(error).__name__, frames)
    return TrunklineError(Reason.INTERNAL, f"internal error {error_id}", metadata={"errorId": error_id})


def _own(user_id: str, said: str) -> str:
    if said not in ("", user_id):
        raise TrunklineError(Reason.FIELD_FORBIDDEN, f"{USER}: the credential is for another user")
    return user_id


def _snake(name: str) -> str:
    """`CompleteMany` is served by `complete_many`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
