"""The way to an MCP server, whatever carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from trunkline_server.core.errors import Reason, TrunklineError

READ_BYTES_MAX: Final = 4 * 1024 * 1024
"""The longest message that is read."""


class Link(Protocol):
    """`session` changes whenever the server has forgotten us, and what we knew of it may be old."""

    @property
    def session(self) -> int: ...

    async def ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        """The result. Shakes hands first where that is needed. Raises TOOL_FAILED, URL_NOT_ALLOWED."""

    async def close(self) -> None:
        """Leave."""


def failed(message: str, **metadata: str) -> TrunklineError:
    return TrunklineError(Reason.TOOL_FAILED, message, metadata=metadata)


def broken() -> TrunklineError:
    return failed("the MCP server does not keep to the protocol")
