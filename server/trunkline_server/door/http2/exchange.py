"""One call as its handler sees it: a request that comes in, an answer that goes out, and a caller who may leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trunkline_server.door.code import Code
from trunkline_server.door.http2 import frames, replies
from trunkline_server.door.http2.frames import Error
from trunkline_server.door.http2.inbox import Inbox, Unreadable

if TYPE_CHECKING:
    from trunkline_server.door.http2.connection import Connection
    from trunkline_server.door.http2.head import Head, Metadata

_log = logging.getLogger(__name__)

_PLAIN: Final = b"\0"


@dataclass(frozen=True, slots=True)
class Rpc:
    """What serves a method. One that `uploads` starts with the first byte, others when their one message is whole."""

    serve: Callable[[Exchange], Awaitable[None]]
    uploads: bool = False


class Exchange:
    """Handlers `receive`, `send` and `finish`; the connection does the rest.

    open ──▶ running ──▶ finished      by its handler
      └─────────┴──────▶ left          by its caller: the handler is cancelled
    """

    __slots__ = (
        "_answering",
        "_arrival",
        "_began",
        "_connection",
        "_head",
        "_inbox",
        "_last_words",
        "_rpc",
        "_running",
        "complete",
        "credit",
        "cut_off",
        "deadline",
        "finished",
        "id",
        "left",
        "moved_at",
        "on_sent",
        "request",
        "task",
        "unsent",
        "window",
    )

    def __init__(self, connection: Connection, id: int, head: Head, rpc: Rpc) -> None:
        self.id = id
        self.deadline = None if head.timeout_s is None else connection.heard_at + head.timeout_s
        """On the clock of the loop; None where the caller gave none."""
        self.request = b""
        """The one message of a method that does not upload."""
        self.left = False
        """The caller is gone, and hears nothing any more."""
        self.finished = False
        """The answer has come to its end."""
        self.complete = False
        """The request has come to its end."""
        self.task: asyncio.Task[None] | None = None
        """The handler, once it was started."""
        self._connection = connection
        self._began = connection.heard_at
        self._head = head
        self._rpc = rpc
        self._inbox = Inbox(connection.limits.receive_bytes_max, head.encoding)
        self._running = False
        self._answering = False
        self._arrival: asyncio.Future[None] | None = None
        self.credit = connection.limits.stream_window_bytes
        """How much of the request may still be sent."""
        self.window = connection.outflow.first_window
        """How much of the answer may still be sent."""
        self.unsent: memoryview | None = None
        self.on_sent: asyncio.Future[None] | None = None
        self.moved_at = 0.0
        self.cut_off = False
        """A message is out in part."""
        self._last_words: bytes | None = None

    # What handlers use.

    @property
    def path(self) -> str:
        return self._head.path

    @property
    def metadata(self) -> Metadata:
        """Names in lower case; values of `-bin` names are bytes."""
        return self._head.metadata

    @property
    def certificate(self) -> object:
        """The caller's, as `ssl` tells it; None or empty where none was shown and verified."""
        return self._connection.certificate

    async def receive(self) -> bytes | None:
        """The next message; None at the end of the request."""
        messages = self._inbox.messages
        while not messages:
            if self.complete:
                return None
            self._arrival = self._connection.loop.create_future()
            await self._arrival
        message = self._inbox.pop()
        self._connection.calls.release(len(message))
        if not messages:
            self._connection.calls.give_back(self)
        return message

    async def send(self, message: bytes) -> None:
        """Part of the answer; waits while the caller does not take it."""
        if self.finished:
            raise asyncio.CancelledError
        if not self._answering:
            self._answering = True
            self._connection.say_headers(self.id, replies.OPENING, end=False)
        sent = self._connection.outflow.send(self, _PLAIN + len(message).to_bytes(4) + message)
        if sent is not None:
            await sent

    def finish(self, code: Code, message: str = "", metadata: Iterable[tuple[str, str | bytes]] = ()) -> None:
        """The end of the answer; it follows a message that is out in part, and overtakes one that is not out at all.

        An upload that fails is heard out for a moment: clients lose a status that comes while they speak.
        """
        if self.finished:
            return
        self.finished = True
        self._last_words = replies.trailers(code, message, metadata)
        if self.cut_off:
            return
        self._connection.outflow.drop(self)
        if code is Code.OK or self.complete or not self._rpc.uploads:
            self._say_last_words()
        else:
            self._connection.loop.call_later(self._connection.limits.linger_s, self._say_last_words)

    # What the connection uses.

    def begin(self) -> None:
        """The call has begun; its request may follow."""
        if self._rpc.uploads:
            self._start()

    def take(self, data: bytes) -> int:
        """More of the request; how much more is held in memory."""
        if self.finished:
            return 0
        before = self._inbox.held_bytes
        try:
            self._inbox.feed(data)
        except Unreadable as error:
            self.refuse(error.code, str(error))
        self._arrived()
        return self._inbox.held_bytes - before

    def end(self) -> None:
        """The request is whole."""
        if self.complete:
            return
        self.complete = True
        if self.finished:
            if not self.cut_off:
                self._say_last_words()
            return
        if self._inbox.is_cut:
            self.refuse(Code.INVALID_ARGUMENT, "the request ends within a message")
        elif self._rpc.uploads:
            self._arrived()
        elif len(self._inbox.messages) == 1:
            self.request = self._inbox.pop()
            self._connection.calls.release(len(self.request))
            self._start()
        else:
            self.refuse(Code.UNIMPLEMENTED, "this method takes one message")

    def refuse(self, code: Code, message: str) -> None:
        """Ends the call from this side, whatever its handler does."""
        self.finish(code, message)
        self._stop()

    def sent(self) -> None:
        """A message that had to wait is out."""
        self.unsent = None
        if self.on_sent is not None and not self.on_sent.done():
            self.on_sent.set_result(None)
        self._say_last_words()

    def give_up(self) -> None:
        """Nobody reads the answer. Whoever does not even take its end is let go of."""
        if self.finished:
            self._connection.outflow.put(frames.rst_stream(self.id, Error.CANCEL))
            self.leave()
        else:
            self.refuse(Code.CANCELLED, "nobody reads the answer")

    def leave(self) -> None:
        """The caller has gone."""
        self.left = self.finished = True
        self._connection.outflow.drop(self)
        self._stop()

    def is_late(self, now: float) -> bool:
        """Whether the request should be whole by now, and is not."""
        until = self._began + self._connection.limits.request_s
        return self.task is None and now >= (until if self.deadline is None else min(until, self.deadline))

    @property
    def wants_more(self) -> bool:
        """Whether all of the request that came was taken."""
        return not self._inbox.messages

    @property
    def has_last_words(self) -> bool:
        """Whether the end of the answer is still to be said."""
        return self._last_words is not None and not self.left

    @property
    def unread_bytes(self) -> int:
        return self._inbox.held_bytes

    def _stop(self) -> None:
        """Cancels the handler; without one that runs, the call is forgotten at once."""
        if self.task is not None:
            self.task.cancel()
        if not self._running:
            self._connection.calls.forget(self)

    def _say_last_words(self) -> None:
        block, self._last_words = self._last_words, None
        if block is None or self.left:
            return
        self._connection.say_headers(self.id, block if self._answering else replies.OPENING + block, end=True)
        if not self.complete:
            self._connection.outflow.put(frames.rst_stream(self.id, Error.NO_ERROR))
        if not self._running:
            self._connection.calls.forget(self)

    def _arrived(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _start(self) -> None:
        self.task = self._connection.loop.create_task(self._serve())

    async def _serve(self) -> None:
        self._running = True
        try:
            await self._rpc.serve(self)
            if not self.finished:
                self.finish(Code.UNKNOWN, "the call has no status")
        except asyncio.CancelledError:
            self.finish(Code.UNAVAILABLE, "the call was cut off")
        except Exception:  # noqa: BLE001 - a fault of one call is not one of its neighbours
            _log.exception("http2.fault method=%s", self.path)
            self.finish(Code.INTERNAL, "internal error")
        finally:
            self._running = False
            self._connection.calls.forget(self)
