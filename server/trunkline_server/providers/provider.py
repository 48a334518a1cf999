"""What a provider is: where it lives, how it wants its key, which wire it speaks; and one that is switched on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import Response, Transport
from trunkline_server.providers.settings import ProviderSettings
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.http import HttpRequest

ERROR_BYTES_MAX: Final = 256 * 1024
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024


def bearer(key: str) -> Mapping[str, str]:
    """`Authorization: Bearer <key>`, as most providers want it."""
    return {"authorization": f"Bearer {key}"}


def header(name: str) -> Callable[[str], Mapping[str, str]]:
    """The key alone in a header of its own."""
    return lambda key: {name: key}


class OwnTransport(Transport, Protocol):
    """A transport that is closed at the end."""

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Provider:
    """A declaration. `takes_urls`: the provider fetches the addresses in a message itself; else the gateway does.

    `only_if_named`: it is off until the settings say something about it. `closed`: the catalogue has all of its models.
    `transport` makes a way to it that is not our HTTP client. `foreign_names`: what it may call the model of another
    provider; for those that pass calls on. `cancel_billing`: what it bills of an answer that its caller left.
    """

    name: str
    base_url: str
    wire: Wire
    sign: Callable[[str], Mapping[str, str]] = bearer
    needs_key: bool = True
    only_if_named: bool = False
    takes_urls: bool = True
    closed: bool = False
    transport: Callable[[ProviderSettings], OwnTransport] | None = None
    foreign_names: Callable[[str, str], Sequence[str]] | None = None
    cancel_billing: CancelBilling = CancelBilling.ESTIMATE


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider that is on: its declaration and a way to it."""

    provider: Provider
    transport: Transport = field(repr=False)

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def wire(self) -> Wire:
        return self.provider.wire

    async def chat(self, ask: Ask, answer: Answer) -> AsyncGenerator[None, None]:
        """Ask, and grow the answer; yields after each read. Raises UpstreamFailure. Closing it closes the socket."""
        async with self.transport.open(self.wire.encode_chat(ask)) as response:
            await self._accept(response)
            decoder = self.wire.decode_chat(ask, answer, response.headers.get("content-type", ""))
            async for data in response.chunks():
                decoder.feed(data)
                yield
            decoder.close()

    async def answer(self, ask: Ask, answer: Answer) -> None:
        """Ask for a whole answer. Raises UpstreamFailure."""
        async with self.transport.open(self.wire.encode_chat(ask)) as response:
            await self._accept(response)
            decoder = self.wire.decode_chat(ask, answer, response.headers.get("content-type", ""))
            decoder.feed(await response.read(ANSWER_BYTES_MAX))
            decoder.close()

    async def count(self, ask: Ask) -> int | None:
        """Input tokens as the provider counts them; None where it cannot."""
        request = self.wire.encode_count(ask)
        return None if request is None else self.wire.decode_count(await self._fetch(request))

    async def models(self) -> list[str]:
        """The models that the provider offers."""
        return self.wire.decode_models(await self._fetch(self.wire.encode_models()))

    async def _fetch(self, request: HttpRequest) -> bytes:
        exchange: AbstractAsyncContextManager[Response] = self.transport.open(request)
        async with exchange as response:
            await self._accept(response)
            return await response.read(BODY_BYTES_MAX)

    async def _accept(self, response: Response) -> None:
        if 200 <= response.status < 300:
            return
        if response.status < 400:
            raise UpstreamFailure(FailureKind.BROKEN, response.status)
        raise self.wire.failure(response.status, response.headers, await _told(response))


async def _told(response: Response) -> bytes:
    """What an error says; nothing where that is too long or breaks off, for the status stands."""
    try:
        return await response.read(ERROR_BYTES_MAX)
    except UpstreamFailure:
        return b""
