"""The guard between our client and addresses that callers give: where a dial may lead, and for whom it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, TypeAlias
from uuid import UUID

from trunkline_server.core.address import Address as WebAddress
from trunkline_server.core.address import EgressPolicy
from trunkline_server.providers.client import ClientSettings, HttpTransport, Response
from trunkline_server.providers.http.network import Address, Network
from trunkline_server.wire.http import HttpRequest

RESOLVE_TIMEOUT_S: Final = 2.0
_WAYS_MIN: Final = 64
_HEADERS: Final = {"accept-encoding": "identity"}

Direction: TypeAlias = tuple[UUID | None, str]
"""Whose calls, and to where."""


def guarded(network: Network, policy: EgressPolicy) -> Network:
    """A network in which a name leads to permitted numbers or to none. None is remembered: every dial is judged anew,
    by what is dialled then."""

    async def look_up(host: str, port: int) -> Sequence[Address]:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await network.look_up(host, port)
        if not all(policy.permits(ip_address(where[0]), host, port) for _, where in found):
            raise ConnectionRefusedError
        return found

    return Network(look_up, network.open, known_s=0)


@dataclass(slots=True)
class _Way:
    """The connections that serve one direction."""

    transport: HttpTransport
    in_use_count: int = 0

    @property
    def is_dead(self) -> bool:
        return not self.in_use_count and not self.transport.figures.idle_count


class Ways:
    """Ways out. A connection serves none but the tenant it was made for: what one says cannot show in another's."""

    def __init__(self, network: Network, settings: ClientSettings) -> None:
        self._network = network
        self._settings = settings
        self._ways: dict[Direction, _Way] = {}
        self._count_max = _WAYS_MIN

    @asynccontextmanager
    async def asked(self, owner: UUID | None, address: WebAddress, request: HttpRequest) -> AsyncIterator[Response]:
        """Raises UpstreamFailure."""
        way = self._way((owner, address.origin))
        way.in_use_count += 1
        try:
            async with way.transport.open(request) as response:
                yield response
        finally:
            way.in_use_count -= 1

    async def close(self) -> None:
        for way in self._ways.values():
            await way.transport.close()
        self._ways.clear()

    def _way(self, direction: Direction) -> _Way:
        if direction not in self._ways:
            if len(self._ways) >= self._count_max:
                self._clear()
            self._ways[direction] = _Way(HttpTransport(direction[1], _HEADERS, self._settings, self._network))
        return self._ways[direction]

    def _clear(self) -> None:
        """Forget those that nothing goes over any more; not at every turn, for each is looked at."""
        self._ways = {direction: way for direction, way in self._ways.items() if not way.is_dead}
        self._count_max = max(_WAYS_MIN, 2 * len(self._ways))
