"""What is said on a WebSocket, in JSON: the caller starts and cancels calls, and hears of each by the id it gave it.

start {id, request}   ──▶  message {id, event} ...  ──▶  done {id, event} | error {id, error}
resume {id, request}  ──▶  the same from where it broke off; done {id} where all was heard
action {id, request}  ──▶  done {id, response} | error {id, error}
cancel {id}           ──▶  error {id, error}, if it had not ended
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.door.boundary import Boundary, Procedure, Visit
from trunkline_server.edge.exchange import Headers
from trunkline_server.edge.reading import decode, raw_text
from trunkline_server.edge.rpc.codec import CODECS
from trunkline_server.edge.rpc.errors import describe

CALLS_MAX: Final = 32


class Said(msgspec.Struct):
    """One message of the caller."""

    type: str
    id: str = ""
    request: msgspec.Raw = msgspec.Raw()


class Conversation:
    """The calls of one socket. `send` waits while the caller does not read."""

    def __init__(
        self,
        boundary: Boundary,
        kinds: Mapping[str, Procedure],
        metadata: Headers,
        certificate: object,
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._boundary = boundary
        self._kinds = kinds
        self._metadata = metadata
        self._certificate = certificate
        self._send = send
        self._over = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> bool:
        return not self._running

    @property
    def unheard(self) -> int:
        """Answers to faulty messages that wait for their reader."""
        return len(self._beside)

    def hear(self, data: bytes) -> None:
        """One message; what is wrong with it is answered."""
        said = Said("")
        try:
            said = decode(data, Said)
            self._obey(said)
        except TrunklineError as error:
            self._keep(self._tell("error", said.id, error=describe(error, "")))

    async def end(self) -> None:
        """Nobody listens any more."""
        self._over = True
        tasks = [*self._running.values(), *self._beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _obey(self, said: Said) -> None:
        match said.type:
            case "cancel":
                if running := self._running.get(said.id):
                    asyncio.get_running_loop().call_soon(running.cancel)  # behind its first step, or nobody would tell
            case kind if procedure := self._kinds.get(kind):
                self._start(said, procedure)
            case _:
                raise invalid("type", f"must be cancel, {', '.join(self._kinds)}")

    def _start(self, said: Said, procedure: Procedure) -> None:
        if not said.id or len(said.id) > 64 or said.id in self._running:
            raise invalid("id", "must be 1 to 64 characters that no running call has")
        if len(self._running) >= CALLS_MAX:
            raise TrunklineError(Reason.CONCURRENCY_LIMITED, f"{CALLS_MAX} calls run on this socket", retry_after_s=1.0)
        task = asyncio.get_running_loop().create_task(self._call(said, procedure))
        self._running[said.id] = task
        task.add_done_callback(lambda _: self._running.pop(said.id, None))

    async def _call(self, said: Said, procedure: Procedure) -> None:
        visit = self._boundary.visit(procedure, self._metadata, None, self._certificate)
        try:
            await visit.identify()
            request = await CODECS["json"].read(procedure, raw_text(said.request).encode())
            await (self._many if procedure.method.streams else self._once)(visit, said.id, request)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a message
            await self._fail(visit, said.id, error)

    async def _many(self, visit: Visit, id: str, request: Message) -> None:
        ended = False

        async def send(message: Any) -> None:
            nonlocal ended
            ended = message.event.HasField("completed")
            await self._tell("done" if ended else "message", id, event=json_format.MessageToDict(message.event))

        await visit.many(request, send)
        if not ended:
            await self._tell("done", id)

    async def _once(self, visit: Visit, id: str, request: Message) -> None:
        await self._tell("done", id, response=json_format.MessageToDict(await visit.once(request)))

    async def _fail(self, visit: Visit, id: str, error: BaseException) -> None:
        if self._over:
            visit.left()
            raise asyncio.CancelledError from None
        told = describe(visit.failed(error), visit.call.request_id)
        await self._tell("error", id, error=told)

    async def _tell(self, kind: str, id: str, **fields: Any) -> None:
        await self._send(orjson.dumps({"type": kind, "id": id, **fields}))

    def _keep(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
