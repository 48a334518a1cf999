"""gRPC's own health service: for whoever asks, and for whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from trunkline_server.door.code import Code
from trunkline_server.door.http2.exchange import Exchange, Rpc

SERVICE: Final = "grpc.health.v1.Health"
_Response = health_pb2.HealthCheckResponse


class Health:
    """Serving or not, by name; a name that nobody has told of is unknown."""

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        self._changed = asyncio.Event()

    def rpcs(self) -> dict[str, Rpc]:
        served = {"Check": self._check, "List": self._list, "Watch": self._watch}
        return {f"/{SERVICE}/{name}": Rpc(serve) for name, serve in served.items()}

    def tell(self, names: Iterable[str], *, serving: bool) -> None:
        self._serving.update(dict.fromkeys(names, serving))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def stop(self) -> None:
        """Nothing is served any more, for whoever looks for somebody who serves."""
        self.tell(list(self._serving), serving=False)

    async def _check(self, exchange: Exchange) -> None:
        service = _asked(exchange)
        if service is None:
            exchange.finish(Code.INVALID_ARGUMENT, "the request is no HealthCheckRequest")
        elif service not in self._serving:
            exchange.finish(Code.NOT_FOUND, "there is no such service")
        else:
            await exchange.send(_Response(status=self._status(service)).SerializeToString())
            exchange.finish(Code.OK)

    async def _list(self, exchange: Exchange) -> None:
        statuses = {name: _Response(status=self._status(name)) for name in self._serving}
        await exchange.send(health_pb2.HealthListResponse(statuses=statuses).SerializeToString())
        exchange.finish(Code.OK)

    async def _watch(self, exchange: Exchange) -> None:
        """Goes on until the caller leaves; a service that is unknown may come to be."""
        service, told = _asked(exchange), None
        if service is None:
            exchange.finish(Code.INVALID_ARGUMENT, "the request is no HealthCheckRequest")
            return
        while True:
            changed, status = self._changed, self._status(service)
            if status != told:
                await exchange.send(_Response(status=status).SerializeToString())
                told = status
            await changed.wait()

    def _status(self, service: str) -> health_pb2.HealthCheckResponse.ServingStatus:
        if service not in self._serving:
            return _Response.SERVICE_UNKNOWN
        return _Response.SERVING if self._serving[service] else _Response.NOT_SERVING


def _asked(exchange: Exchange) -> str | None:
    """The name of the service; None where the bytes do not say."""
    try:
        service: str = health_pb2.HealthCheckRequest.FromString(exchange.request).service
    except DecodeError:
        return None
    return service
