"""Which handler a path has, and which pages of other origins may call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from trunkline_server.edge.connection import Handler
from trunkline_server.edge.exchange import Exchange, Reply

JSON: Final = (("content-type", "application/json"),)
_EXPOSED: Final = (
    "x-request-id, x-trunkline-charge, x-trunkline-completion-id, x-trunkline-model, x-trunkline-provider, "
    "grpc-status, grpc-message, grpc-status-details-bin"
)


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is whole, or the beginning of one where it ends with `*`."""

    method: str
    path: str
    handler: Handler


class Router:
    """The handler of everything. Methods are told apart only for whole paths."""

    def __init__(self, routes: Iterable[Route], allowed_origins: Iterable[str]) -> None:
        self._exact: dict[str, dict[str, Handler]] = {}
        self._prefixes: list[Route] = []
        for route in routes:
            if route.path.endswith("*"):
                self._prefixes.append(route)
            else:
                self._exact.setdefault(route.path, {})[route.method] = route.handler
        self._origins = frozenset(allowed_origins)

    async def __call__(self, exchange: Exchange) -> None:
        origin = exchange.header("origin")
        if origin in self._origins:
            exchange.beside += (
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", _EXPOSED),
                ("vary", "origin"),
            )
            if exchange.head.method == "OPTIONS":
                exchange.respond(_preflight(exchange))
                return
        handlers = self._find(exchange.path)
        handler = handlers.get("GET" if exchange.head.method == "HEAD" else exchange.head.method)
        if handler is not None:
            await handler(exchange)
        elif handlers:
            exchange.respond(Reply(405, (("allow", ", ".join(sorted(handlers))), *JSON), _said("method not allowed")))
        else:
            exchange.respond(Reply(404, JSON, _said("there is nothing at this path")))

    def _find(self, path: str) -> Mapping[str, Handler]:
        exact = self._exact.get(path)
        return exact or {route.method: route.handler for route in self._prefixes if path.startswith(route.path[:-1])}


def _preflight(exchange: Exchange) -> Reply:
    asked = exchange.header("access-control-request-headers")
    headers = (
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", asked),
        ("access-control-max-age", "7200"),
    )
    return Reply(204, headers)


def _said(message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "invalid_request_error", "code": None, "param": None}})
