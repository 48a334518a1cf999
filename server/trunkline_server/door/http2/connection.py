"""One connection from its first to its last byte. Whoever breaks the rules is told once, and the line is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, cast

from trunkline_server.door.code import Code
from trunkline_server.door.http2 import frames
from trunkline_server.door.http2.allowance import Allowance
from trunkline_server.door.http2.calls import Calls
from trunkline_server.door.http2.exchange import Rpc
from trunkline_server.door.http2.frames import Error, Fault, Setting
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.outflow import Outflow
from trunkline_server.door.http2.reader import FrameReader
from trunkline_server.door.http2.upkeep import Upkeep

_PING_BYTES: Final = 8
_DRAINING: Final = b"draining"
_ALIVE: Final = b"\0" * _PING_BYTES
_PING_STRIKES_MAX: Final = 2
_IDLE_FRAMES_MAX: Final = 1000
_IDLE_FRAMES_PER_S: Final = 100.0
_FRAME_BYTES_LARGEST: Final = 2**24 - 1


class Connection(asyncio.Protocol):
    """Calls are in `calls`, what goes out in `outflow`; here is what concerns the connection as a whole.

    greeted ──▶ leaving ──▶ left ──▶ lost      leaving: calls on their way still count; left: no more are taken
    """

    calls: Calls
    outflow: Outflow

    def __init__(
        self,
        rpcs: Mapping[str, Rpc],
        limits: Limits,
        on_made: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._on_made = on_made
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.heard_at = self.loop.time()
        self._ping_strikes = 0
        self.left = False
        self._leaving = False
        self._broken = False
        self._rpcs = rpcs
        self._on_lost = on_lost
        self._idle_frames = Allowance(_IDLE_FRAMES_MAX, _IDLE_FRAMES_PER_S)
        self._pinged_at = 0.0
        self._table_changed = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.certificate: object = transport.get_extra_info("peercert")
        self.outflow = Outflow(self._transport, self.loop)
        self.calls = Calls(self, self._rpcs)
        self._reader = FrameReader(self._frame, self.calls.begin)
        self._upkeep = Upkeep(self)
        self._known: Mapping[int, Callable[[int, int, bytes], None]] = {
            frames.PRIORITY: self._priority,
            frames.RST_STREAM: self._rst_stream,
            frames.SETTINGS: self._settings,
            frames.PUSH_PROMISE: self._misplaced,
            frames.PING: self._ping,
            frames.GOAWAY: self._goaway,
            frames.WINDOW_UPDATE: self._window_update,
            frames.CONTINUATION: self._misplaced,
        }
        self._greet()
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        self.heard_at = self.loop.time()
        try:
            self._reader.feed(data)
        except Fault as fault:
            self._broken = True
            self.outflow.put(frames.goaway(self.calls.last_id, fault.error, str(fault)))
            self.close()

    def pause_writing(self) -> None:
        self.outflow.pause()

    def resume_writing(self) -> None:
        self.outflow.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why makes no difference
        self._broken = True
        self._upkeep.close()
        self.calls.leave()
        self._on_lost(self)

    def _greet(self) -> None:
        ours = {
            Setting.MAX_CONCURRENT_STREAMS: self.limits.streams_max,
            Setting.INITIAL_WINDOW_SIZE: self.limits.stream_window_bytes,
            Setting.MAX_HEADER_LIST_SIZE: self.limits.header_bytes_max,
        }
        wider = self.limits.connection_window_bytes - frames.WINDOW_BYTES
        self.outflow.put(frames.settings(ours) + frames.window_update(0, wider))

    # Frames.

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == frames.DATA:
            self.calls.data(flags, stream, payload)
        elif (known := self._known.get(kind)) is not None:
            known(flags, stream, payload)
        else:
            self.count_idle()

    def _rst_stream(self, _flags: int, stream: int, payload: bytes) -> None:
        _demand(len(payload) == 4, "RST_STREAM has 4 bytes")
        self.calls.reset(stream)

    def _priority(self, _flags: int, stream: int, payload: bytes) -> None:
        """Streams take turns; nobody comes first."""
        _demand(stream > 0 and len(payload) == 5, "PRIORITY has a stream and 5 bytes")
        self.count_idle()

    def _window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        _demand(len(payload) == 4, "WINDOW_UPDATE has 4 bytes")
        increment = int.from_bytes(payload) & frames.WINDOW_BYTES_MAX
        if stream:
            self.calls.widen(stream, increment)
            return
        _demand(increment > 0, "a window grows by nothing", Error.PROTOCOL_ERROR)
        self.outflow.widen(increment)

    def _settings(self, flags: int, stream: int, payload: bytes) -> None:
        _demand(not stream and not len(payload) % 6, "SETTINGS have no stream, and 6 bytes each")
        if flags & frames.ACK:
            _demand(not payload, "an acknowledgement has no settings")
            return
        self.count_idle()
        self.outflow.acknowledge(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))  # before data that it lets through
        for at in range(0, len(payload), 6):
            self._set(int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 6]))

    def _set(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE:
            _demand(value <= frames.WINDOW_BYTES_MAX, "a window is too large", Error.FLOW_CONTROL_ERROR)
            self.outflow.widen_streams(value, list(self.calls.open.values()))
        elif key == Setting.MAX_FRAME_SIZE:
            fits = frames.FRAME_BYTES_MAX <= value <= _FRAME_BYTES_LARGEST
            _demand(fits, "frames cannot have that size", Error.PROTOCOL_ERROR)
            self.outflow.limit_frames(value)
        elif key == Setting.ENABLE_PUSH:
            _demand(value <= 1, "push is on or off", Error.PROTOCOL_ERROR)
        elif key == Setting.HEADER_TABLE_SIZE:
            self._table_changed = True

    def _ping(self, flags: int, stream: int, payload: bytes) -> None:
        _demand(not stream and len(payload) == _PING_BYTES, "PING has 8 bytes and no stream")
        if not flags & frames.ACK:
            self._count_ping()
            self.outflow.acknowledge(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == _DRAINING and self._leaving:
            self._take_no_more()

    def _goaway(self, _flags: int, stream: int, _payload: bytes) -> None:
        _demand(not stream, "GOAWAY has no stream")
        self._take_no_more()

    def _misplaced(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise Fault(Error.PROTOCOL_ERROR, "clients do not push, and continue only what was begun")

    def _count_ping(self) -> None:
        """Often is fine while we send; otherwise rarely."""
        early = self.heard_at - self._pinged_at < self.limits.ping_interval_s_min
        self._ping_strikes = 0 if self.outflow.spoke else self._ping_strikes + early
        self._pinged_at = self.heard_at
        self.count_idle()
        _demand(self._ping_strikes <= _PING_STRIKES_MAX, "too_many_pings", Error.ENHANCE_YOUR_CALM)

    # What calls use.

    def say_headers(self, stream: int, block: bytes, *, end: bool) -> None:
        """Our blocks use no table. Whoever changed the size of theirs waits until we say so, once."""
        if self._table_changed:
            self._table_changed = False
            block = b"\x20" + block
        self.outflow.put(frames.headers(stream, block, end=end))

    def count_idle(self) -> None:
        """A frame that does nothing; one for each thing that we say is free."""
        if self.outflow.spoke:
            self.outflow.spoke = False
            return
        enough = self._idle_frames.spend(self.heard_at)
        _demand(enough, "too many frames that do nothing", Error.ENHANCE_YOUR_CALM)

    def ended(self) -> None:
        """A call is over."""
        if self.left and not self.calls.open:
            self.close()

    # Going away.

    @property
    def greeted(self) -> bool:
        """Whether the other end speaks HTTP/2."""
        return self._reader.greeted

    @property
    def closing(self) -> bool:
        """Whether all that is left is to send what was said."""
        return self._transport.is_closing()

    def ask(self) -> None:
        """Is anybody there?"""
        self.outflow.put(frames.frame(frames.PING, 0, 0, _ALIVE))

    def leave(self) -> None:
        """Ask the other end to send its next calls elsewhere; those on their way are still served."""
        if self._leaving:
            return
        self._leaving = True
        if not self.greeted:
            self.abort()
            return
        self.outflow.put(frames.goaway(frames.STREAM_ID_MAX, Error.NO_ERROR))
        self.outflow.put(frames.frame(frames.PING, 0, 0, _DRAINING))

    def _take_no_more(self) -> None:
        """The other end knows, and what it sent before has arrived."""
        if self.left:
            return
        self._leaving = self.left = True
        self.outflow.put(frames.goaway(self.calls.last_id, Error.NO_ERROR))
        self.ended()

    def cut(self) -> None:
        """End every call, and the connection."""
        self._leaving = self.left = True
        self.calls.cut(Code.UNAVAILABLE, "the server goes away")
        self.outflow.put(frames.goaway(self.calls.last_id, Error.NO_ERROR))
        self.close()

    def close(self) -> None:
        """Once what was said has left."""
        self.outflow.flush()
        self._transport.close()

    def abort(self) -> None:
        """At once."""
        self._transport.abort()


def _demand(right: bool, why: str, error: Error = Error.FRAME_SIZE_ERROR) -> None:  # noqa: FBT001 - reads like assert
    if not right:
        raise Fault(error, why)
