"""Frames in a stream of bytes that is cut anywhere, with LF or CRLF: server-sent events (WHATWG HTML, section 9.2), and
lines of JSON.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Generic, TypeAlias, TypeVar

from trunkline_server.core.failure import FailureKind, UpstreamFailure

LINE_BYTES_MAX: Final = 8 * 1024 * 1024

ServerEvent: TypeAlias = tuple[bytes, bytes]  # its name (`b""` where it has none) and its data


Frame = TypeVar("Frame")


class Frames(ABC, Generic[Frame]):
    """Keeps a line that has not ended yet until it has."""

    __slots__ = ("_tail", "_tail_bytes")

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._tail_bytes = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that this piece completes."""
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return []
        head, rest = data[:end], data[end + 1 :]
        if self._tail:
            head = b"".join((*self._tail, head))
            self._tail.clear()
            self._tail_bytes = 0
        if rest:
            self._keep(rest)
        return self._read(head)

    def close(self) -> list[Frame]:
        """The frames that the end of the body completes: some providers leave out the last line's end."""
        head = b"".join(self._tail)
        self._tail.clear()
        return self._read(head + b"\n")

    def _keep(self, data: bytes) -> None:
        self._tail_bytes += len(data)
        if self._tail_bytes > LINE_BYTES_MAX:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._tail.append(data)

    @abstractmethod
    def _read(self, lines: bytes) -> list[Frame]:
        """The frames in whole lines; the last of them comes without its end."""


class EventStream(Frames[ServerEvent]):
    """Splits a body into server-sent events. Comments and fields other than `event` and `data` are skipped."""

    __slots__ = ("_data", "_name")

    def __init__(self) -> None:
        super().__init__()
        self._name = b""
        self._data: list[bytes] = []

    def _read(self, lines: bytes) -> list[ServerEvent]:
        if b"\r" in lines:
            lines = lines.removesuffix(b"\r").replace(b"\r\n", b"\n")
        events: list[ServerEvent] = []
        name, data = self._name, self._data
        for line in lines.split(b"\n"):
            if not line:
                if data:
                    events.append((name, data[0] if len(data) == 1 else b"\n".join(data)))
                    data = []
                name = b""
            elif line[:6] == b"data: ":
                data.append(line[6:])
            elif line[:5] == b"data:":
                data.append(line[5:])
            elif line[:6] == b"event:":
                name = line[6:].strip()
        self._name, self._data = name, data
        return events


class LineStream(Frames[bytes]):
    """Splits a body into lines, each a JSON text of its own (NDJSON). Blank lines are skipped."""

    __slots__ = ()

    def _read(self, lines: bytes) -> list[bytes]:
        return [line for line in lines.split(b"\n") if line and line != b"\r"]
