"""The HTTP door's traffic as figures."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline_server.core.figures import Family, Labels, level, total
from trunkline_server.edge.limits import Traffic


def families(traffic: Traffic) -> Iterator[Family]:
    open_streams: dict[Labels, float] = {(kind,): count for kind, count in traffic.open_streams.items()}
    streams: dict[Labels, float] = {(kind,): count for kind, count in traffic.streams.items()}
    yield level("trunkline_http_open_connections", "Connections to the HTTP door.", traffic.open_connections)
    yield total("trunkline_http_connections_total", "Connections that were opened.", traffic.connections)
    yield total(
        "trunkline_http_refused_connections_total", "Connections beyond the limit.", traffic.refused_connections
    )
    yield total("trunkline_http_requests_total", "Requests.", traffic.requests)
    yield total("trunkline_http_failures_total", "Answers with a status of 500 or above.", traffic.failures)
    yield total("trunkline_http_received_bytes_total", "Bytes that came in.", traffic.received_bytes)
    yield total("trunkline_http_sent_bytes_total", "Bytes that went out.", traffic.sent_bytes)
    yield level("trunkline_http_open_streams", "Event streams and WebSockets.", open_streams, "kind")
    yield total("trunkline_http_streams_total", "Event streams and WebSockets that were opened.", streams, "kind")
