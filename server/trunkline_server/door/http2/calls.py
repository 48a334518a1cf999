"""The calls of one connection: how they begin, what their callers send, and how much of it there may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from trunkline_server.door.code import Code
from trunkline_server.door.http2 import frames, replies
from trunkline_server.door.http2.allowance import Allowance
from trunkline_server.door.http2.exchange import Exchange, Rpc
from trunkline_server.door.http2.frames import Error, Fault
from trunkline_server.door.http2.head import Head, HeadReader, Malformed, Refusal

if TYPE_CHECKING:
    from trunkline_server.door.http2.connection import Connection

_NO_SUCH_METHOD: Final = Refusal(Code.UNIMPLEMENTED, "there is no such method")
_RESETS_PER_S: Final = 200.0


class Calls:
    """`open` are those that somebody still waits for or works on: a caller who gives up frees no place for the next."""

    def __init__(self, connection: Connection, rpcs: Mapping[str, Rpc]) -> None:
        self.open: dict[int, Exchange] = {}
        self.last_id = 0
        self._connection = connection
        self._limits = connection.limits
        self._outflow = connection.outflow
        self._rpcs = rpcs
        self._heads = HeadReader(self._limits.header_bytes_max)
        self._credit = self._limits.connection_window_bytes
        self._taken = 0
        self._held_bytes = 0
        self._resets = Allowance(2 * self._limits.streams_max, _RESETS_PER_S)

    # How calls begin.

    def begin(self, stream: int, block: bytes, ends: bool) -> None:  # noqa: FBT001 - a flag of the frame
        if stream <= self.last_id:
            self._trailers(stream, block, ends=ends)
            return
        try:
            head = self._heads.read(block)
        except Malformed:
            self._decline(stream, Error.PROTOCOL_ERROR)
            return
        if self._connection.left:
            return
        if len(self.open) >= self._limits.streams_max:
            self._decline(stream, Error.REFUSED_STREAM)
            return
        self.last_id = stream
        self._admit(stream, head, ends=ends)

    def _decline(self, stream: int, error: Error) -> None:
        self.last_id = stream
        self._count_reset()
        self._outflow.put(frames.rst_stream(stream, error))

    def _admit(self, stream: int, head: Head, *, ends: bool) -> None:
        rpc = self._rpcs.get(head.path)
        if head.refusal is not None or rpc is None:
            self._refuse(stream, head.refusal or _NO_SUCH_METHOD, ends=ends)
            return
        exchange = self.open[stream] = Exchange(self._connection, stream, head, rpc)
        exchange.begin()
        if ends:
            exchange.end()

    def _refuse(self, stream: int, refusal: Refusal, *, ends: bool) -> None:
        self._count_reset()
        self._connection.say_headers(stream, replies.refusing(refusal), end=True)
        if not ends:
            self._outflow.put(frames.rst_stream(stream, Error.NO_ERROR))

    def _trailers(self, stream: int, block: bytes, *, ends: bool) -> None:
        self._heads.skip(block)
        exchange = self.open.get(stream)
        if exchange is None or exchange.left:
            self._connection.count_idle()
        elif exchange.complete:
            self._break(exchange, Error.STREAM_CLOSED)
        elif not ends:
            self._break(exchange, Error.PROTOCOL_ERROR)
        else:
            exchange.end()

    # What callers send.

    def data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        ends = bool(flags & frames.END_STREAM)
        self._charge(stream, size)
        if flags & frames.PADDED:
            payload = frames.bare(frames.PADDED, payload)
        if not (payload or ends):
            self._connection.count_idle()
        exchange = self.open.get(stream)
        if exchange is None or exchange.left:
            return
        exchange.credit -= size
        if exchange.complete:
            self._break(exchange, Error.STREAM_CLOSED)
        elif exchange.credit < 0:
            self._break(exchange, Error.FLOW_CONTROL_ERROR)
        else:
            self._take(exchange, payload, ends=ends)

    def _charge(self, stream: int, size: int) -> None:
        """The window of the connection is given back at once; those of the calls hold back whoever sends too much."""
        if not self._was_opened(stream):
            return
        self._credit -= size
        self._taken += size
        if self._credit < 0:
            raise Fault(Error.FLOW_CONTROL_ERROR, "more data than the connection may carry")
        if self._taken * 2 >= self._limits.connection_window_bytes:
            self._outflow.put(frames.window_update(0, self._taken))
            self._credit += self._taken
            self._taken = 0

    def _take(self, exchange: Exchange, payload: bytes, *, ends: bool) -> None:
        if payload:
            self._held_bytes += exchange.take(payload)
            if self._held_bytes > self._limits.held_bytes_max:
                exchange.refuse(Code.RESOURCE_EXHAUSTED, "the requests of this connection hold too much memory")
        if ends:
            exchange.end()
        elif exchange.wants_more:
            self.give_back(exchange)

    def give_back(self, exchange: Exchange) -> None:
        """Credit for what was taken out of a request."""
        window = self._limits.stream_window_bytes
        if exchange.credit * 2 <= window and not (exchange.complete or exchange.finished):
            self._outflow.put(frames.window_update(exchange.id, window - exchange.credit))
            exchange.credit = window

    def release(self, size: int) -> None:
        """So much of a request is in other hands."""
        self._held_bytes -= size

    def widen(self, stream: int, increment: int) -> None:
        """A caller takes more of an answer."""
        exchange = self.open.get(stream)
        if not self._was_opened(stream) or exchange is None or exchange.left:  # it was on its way when the call ended
            return
        if not increment:
            self._break(exchange, Error.PROTOCOL_ERROR)
        elif not self._outflow.widen_stream(exchange, increment):
            self._break(exchange, Error.FLOW_CONTROL_ERROR)

    # How calls end.

    def reset(self, stream: int) -> None:
        """The caller leaves."""
        if not self._was_opened(stream):
            return
        self._count_reset()
        exchange = self.open.get(stream)
        if exchange is not None:
            exchange.leave()

    def forget(self, exchange: Exchange) -> None:
        """Nobody works on it any more, and nothing of its answer is left to be sent."""
        if not exchange.has_last_words and self.open.pop(exchange.id, None) is not None:
            self._held_bytes -= exchange.unread_bytes
            self._connection.ended()

    def leave(self) -> None:
        """The other end is gone, and with it every caller."""
        for exchange in list(self.open.values()):
            exchange.leave()

    def cut(self, code: Code, message: str) -> None:
        """Ends them all from this side."""
        for exchange in list(self.open.values()):
            exchange.refuse(code, message)

    def _break(self, exchange: Exchange, error: Error) -> None:
        """Ends a call whose caller broke the rules."""
        self._count_reset()
        self._outflow.put(frames.rst_stream(exchange.id, error))
        exchange.leave()

    def _was_opened(self, stream: int) -> bool:
        """Not when it came after our last word, which its caller could not know of: what follows it is passed over."""
        if 0 < stream <= self.last_id:
            return True
        if self._connection.left and stream & 1:
            return False
        raise Fault(Error.PROTOCOL_ERROR, "a frame of a stream that was not opened")

    def _count_reset(self) -> None:
        if not self._resets.spend(self._connection.heard_at):
            raise Fault(Error.ENHANCE_YOUR_CALM, "too many calls that come to nothing")
