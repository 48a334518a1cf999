"""For those who look after the process: whether it lives, whether it takes calls, and what went through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.router import Route

_TEXT: Final = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))
_METRICS: Final = (("content-type", "text/plain; version=0.0.4; charset=utf-8"), ("cache-control", "no-store"))


def probes(ready: Callable[[], bool], figures: Callable[[], Awaitable[str]]) -> list[Route]:
    """`ready` says whether load balancers may send calls here; `figures` gives those of the house as text."""

    async def healthz(exchange: Exchange) -> None:
        exchange.respond(Reply(200, _TEXT, b"ok\n"))

    async def readyz(exchange: Exchange) -> None:
        exchange.respond(Reply(200, _TEXT, b"ok\n") if ready() else Reply(503, _TEXT, b"draining\n"))

    async def metrics(exchange: Exchange) -> None:
        exchange.respond(Reply(200, _METRICS, (await figures()).encode()))

    pages = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    return [Route("GET", path, handler) for path, handler in pages.items()]
