"""Calls that name themselves (`request_id`) happen once: a second one gets the first one's answer, or is told to wait.

Only answers are kept. A call that failed leaves nothing behind, so that the next one with its name tries again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from google.protobuf.message import Message

from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.framing import framed, split
from trunkline_server.store.idempotency import Fresh, Idempotency, Replay, Scope

_log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 10.0
RESULT_BYTES_MAX: Final = 4 * 1024 * 1024
COMPLETION_TRAILER: Final = "x-trunkline-completion-id"
_KEY_CHARS_MAX: Final = 255

Once: TypeAlias = Callable[[Call, Any], Awaitable[Message]]
Many: TypeAlias = Callable[[Call, Any], AsyncGenerator[Message, None]]


class Replays:
    """`required` are the methods that nobody may call without a name, because they move money."""

    def __init__(self, store: Idempotency, owner: str, required: frozenset[str]) -> None:
        self._store = store
        self._owner = owner
        self._required = required

    def once(self, call: Call, request: Any, function: Once, reply: type[Message]) -> Awaitable[Message]:
        """A unary call."""
        key = self._key(call, request)
        return self._once(call, request, key, function, reply) if key else function(call, request)

    async def _once(self, call: Call, request: Any, key: str, function: Once, reply: type[Message]) -> Message:
        run = await self._begin(call, request, key)
        if isinstance(run, Replay):
            return reply.FromString(next(split(_repeat(call, run))))
        async with run:
            response = await function(call, request)
            await run.keep(call, framed(response.SerializeToString()))
        return response

    async def many(
        self, call: Call, request: Any, function: Many, reply: type[Message]
    ) -> AsyncGenerator[Message, None]:
        """A streamed call; a repeated one gets the same messages."""
        key = self._key(call, request)
        run = await self._begin(call, request, key) if key else None
        if isinstance(run, Replay):
            for data in split(_repeat(call, run)):
                yield reply.FromString(data)
            return
        async with aclosing(function(call, request)) as messages:
            if run is None:
                async for message in messages:
                    yield message
                return
            kept = _Kept()
            call.on_sent_beside = kept.add
            async with run:
                async for message in messages:
                    kept.add(message)
                    if call.is_billed:  # its caller may leave with the last message in hand, and must not pay again
                        await run.keep(call, bytes(kept.data))
                    yield message
                await run.keep(call, bytes(kept.data))

    def _key(self, call: Call, request: Any) -> str:
        """The call's name, from the request or the metadata."""
        if "request_id" not in request.DESCRIPTOR.fields_by_name:
            return ""
        own, beside = request.request_id, call.idempotency_key
        if own and beside and own != beside:
            raise invalid("request_id", "differs from the metadata `idempotency-key`")
        key: str = own or beside
        if len(key) > _KEY_CHARS_MAX or not key.isascii() or not (key.isprintable() or not key):
            raise invalid("request_id", "must be 1 to 255 printable ASCII characters")
        if not key and call.method in self._required:
            raise invalid("request_id", "is required, here or as metadata `idempotency-key`")
        call.idempotency_key = key
        return key

    async def _begin(self, call: Call, request: Message, key: str) -> _Run | Replay:
        scope = Scope(call.caller.tenant_id, call.caller.principal, call.method, key)
        begun = await self._store.begin(scope, _fingerprint(call, request), self._owner)
        return _Run(self._store, scope, begun) if isinstance(begun, Fresh) else begun


class _Kept:
    """The messages of a stream so far; what is too large to be kept is not collected to its end."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, message: Message) -> None:
        if len(self.data) <= RESULT_BYTES_MAX:
            self.data += framed(message.SerializeToString())


class _Run:
    """The one execution of a named call: keeps its lease alive, and clears the name when there is no answer to keep.

    Where another has taken the name over, because this process was away for too long, the execution is ended.
    """

    def __init__(self, store: Idempotency, scope: Scope, fresh: Fresh) -> None:
        self._store = store
        self._scope = scope
        self._fence = fresh.fence
        self._kept = False
        self._lost = False
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._beat: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(HEARTBEAT_S, self._tick)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._kept:
            await asyncio.shield(self._forget())
        if self._lost and self._task is not None and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise TrunklineError(
                Reason.IDEMPOTENCY_IN_PROGRESS, "another execution took this request_id over", retry_after_s=1.0
            ) from None

    async def keep(self, call: Call, response: bytes) -> None:
        """Keep the answer. One that cannot be kept still reaches its caller, who then has no reason to ask again."""
        if self._kept:
            return
        self._kept = True
        if len(response) > RESULT_BYTES_MAX:
            _log.warning("replay.too_large method=%s bytes=%d", call.method, len(response))
            return
        completion_id = ids.parse("cmpl", call.trailers.get(COMPLETION_TRAILER, ""))
        result = Replay(response, call.trailers, completion_id=completion_id)
        try:
            await asyncio.shield(self._store.finish(self._scope, self._fence, result))
        except TrunklineError as error:
            _log.warning("replay.not_kept method=%s reason=%s", call.method, error.reason.value)

    async def _forget(self) -> None:
        try:
            await self._store.forget(self._scope, self._fence)
        except TrunklineError as error:
            _log.warning("replay.not_cleared method=%s reason=%s", self._scope.method, error.reason.value)

    def _tick(self) -> None:
        self._beat = self._loop.create_task(self._heartbeat())
        self._timer = self._loop.call_later(HEARTBEAT_S, self._tick)

    async def _heartbeat(self) -> None:
        try:
            alive = await self._store.heartbeat(self._scope, self._fence)
        except TrunklineError as error:
            _log.warning("replay.no_heartbeat reason=%s", error.reason.value)
        else:
            self._end_unless(alive)

    def _end_unless(self, alive: bool) -> None:  # noqa: FBT001 - what the store said
        if alive or self._kept or self._lost or self._task is None:
            return
        self._lost = True
        self._task.cancel()


def _repeat(call: Call, replay: Replay) -> bytes:
    call.trailers.update(replay.trailers)
    call.facts["replayed"] = True
    return replay.response


def _fingerprint(call: Call, request: Message) -> bytes:
    """What makes two requests the same: everything but their name, the caller's labels, and how it is heard."""
    bare: Any = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    if "resumable" in bare.DESCRIPTOR.fields_by_name:
        bare.ClearField("resumable")
    inner = getattr(bare, "input", None)
    if inner is not None and "labels" in inner.DESCRIPTOR.fields_by_name:
        inner.ClearField("labels")
    user = f"{call.method}\0{call.user_id}\0{call.account_id}\0".encode()
    return hashlib.sha256(user + bare.SerializeToString(deterministic=True)).digest()
