"""What is said on a WebSocket, in JSON: the caller starts and cancels calls, and hears of each by the id it gave it.

start {id, request}  ──▶  message {id, event} ...  ──▶  done {id, event} | error {id, error}
cancel {id}          ──▶  error {id, error}, if it had not ended
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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
        procedure: Procedure,
        metadata: Headers,
        certificate: object,
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._boundary = boundary
        self._procedure = procedure
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
            case "start":
                self._start(said)
            case "cancel":
                if running := self._running.get(said.id):
                    running.cancel()
            case _:
                raise invalid("type", "must be start or cancel")

    def _start(self, said: Said) -> None:
        if not said.id or len(said.id) > 64 or said.id in self._running:
            raise invalid("id", "must be 1 to 64 characters that no running call has")
        if len(self._running) >= CALLS_MAX:
            raise TrunklineError(Reason.CONCURRENCY_LIMITED, f"{CALLS_MAX} calls run on this socket", retry_after_s=1.0)
        task = asyncio.get_running_loop().create_task(self._call(said))
        self._running[said.id] = task
        task.add_done_callback(lambda _: self._running.pop(said.id, None))

    async def _call(self, said: Said) -> None:
        visit = self._boundary.visit(self._procedure, self._metadata, None, self._certificate)

        async def send(message: Any) -> None:
            event = json_format.MessageToDict(message.event)
            await self._tell("done" if message.event.HasField("completed") else "message", said.id, event=event)

        try:
            await visit.identify()
            await visit.many(await self._read(said), send)
            visit.answered()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it leaves as a message
            await self._fail(visit, said.id, error)

    async def _read(self, said: Said) -> Message:
        return await CODECS["json"].read(self._procedure, raw_text(said.request).encode())

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
