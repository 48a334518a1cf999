"""For those who look after the process: whether it lives, whether it takes calls, and what went through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.limits import Traffic
from trunkline_server.edge.router import Route

_TEXT: Final = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))
_METRICS: Final = (("content-type", "text/plain; version=0.0.4; charset=utf-8"), ("cache-control", "no-store"))


def probes(ready: Callable[[], bool], traffic: Traffic, live_calls: Callable[[], int]) -> list[Route]:
    """`ready` says whether load balancers may send calls here."""

    async def healthz(exchange: Exchange) -> None:
        exchange.respond(Reply(200, _TEXT, b"ok\n"))

    async def readyz(exchange: Exchange) -> None:
        exchange.respond(Reply(200, _TEXT, b"ok\n") if ready() else Reply(503, _TEXT, b"draining\n"))

    async def metrics(exchange: Exchange) -> None:
        exchange.respond(Reply(200, _METRICS, "".join(_lines(traffic, live_calls())).encode()))

    pages = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}
    return [Route("GET", path, handler) for path, handler in pages.items()]


def _lines(traffic: Traffic, live_calls: int) -> Iterator[str]:
    """Prometheus's text format."""
    yield from _metric("trunkline_live_calls", "gauge", live_calls)
    yield from _metric("trunkline_http_open_connections", "gauge", traffic.open_connections)
    yield from _metric("trunkline_http_connections_total", "counter", traffic.connections)
    yield from _metric("trunkline_http_refused_connections_total", "counter", traffic.refused_connections)
    yield from _metric("trunkline_http_requests_total", "counter", traffic.requests)
    yield from _metric("trunkline_http_failures_total", "counter", traffic.failures)
    yield from _metric("trunkline_http_received_bytes_total", "counter", traffic.received_bytes)
    yield from _metric("trunkline_http_sent_bytes_total", "counter", traffic.sent_bytes)
    yield from _metric("trunkline_http_open_streams", "gauge", traffic.open_streams)
    yield from _metric("trunkline_http_streams_total", "counter", traffic.streams)


def _metric(name: str, kind: str, value: int | dict[str, int]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}\n"
    if isinstance(value, int):
        yield f"{name} {value}\n"
    else:
        yield from (f'{name}{{kind="{label}"}} {count}\n' for label, count in value.items())
