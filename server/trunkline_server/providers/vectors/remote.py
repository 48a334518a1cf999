"""JSON to and from a store of vectors over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import orjson

from trunkline_server.core.errors import store_unavailable
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.providers.client import Transport
from trunkline_server.wire.http import HttpRequest

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
EMPTY: Final = b"{}"
NOT_FOUND: Final = frozenset((404,))


@dataclass(frozen=True)
class Remote:
    """One such server. What it says of its failures stays here."""

    transport: Transport

    async def ask(self, method: str, path: str, body: object = None, *, missing: Collection[int] = NOT_FOUND) -> Any:
        """The answer's value, or None where its status says that there is none. Raises STORE_UNAVAILABLE."""
        spelled = b"" if body is None else orjson.dumps(body)
        request = HttpRequest(method, path, {"content-type": "application/json"}, spelled)
        try:
            async with self.transport.open(request) as response:
                answer = await response.read(ANSWER_BYTES_MAX)
                status = response.status
        except UpstreamFailure as failure:
            raise store_unavailable() from failure
        if status in missing:
            return None
        return _value(status, answer)


def _value(status: int, answer: bytes) -> Any:
    try:
        if status < 200 or status >= 300:
            raise ValueError(status)
        return orjson.loads(answer or EMPTY)
    except ValueError as error:
        raise store_unavailable() from error
