"""What a provider is: where it lives, how it wants its key, which wire it speaks; and one that is switched on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol, TypeAlias

from trunkline.v1 import audio_pb2, models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.limit_headers import LimitHeaders
from trunkline_server.core.offered import Offered
from trunkline_server.core.operation import CAPABILITIES, Operation
from trunkline_server.core.pace import Pace
from trunkline_server.core.product import BodyT, Product, Sound
from trunkline_server.providers.client import Response, Transport
from trunkline_server.providers.settings import ProviderSettings
from trunkline_server.wire.bulk import BulkCraft
from trunkline_server.wire.craft import BackgroundCraft, Craft, LongCraft, Pending, SpeechCraft, VoicesCraft
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.stored_files import StoredFiles, VectorStores
from trunkline_server.wire.tuning import TuningCraft

ERROR_BYTES_MAX: Final = 256 * 1024
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
PRODUCT_BYTES_MAX: Final = 256 * 1024 * 1024
"""Pictures come as text in JSON, and films in one piece."""

AnyCraft: TypeAlias = Craft[Any, Any] | SpeechCraft | LongCraft[Any, Any]


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
    """A declaration.

    `only_if_named`: it is off until the settings say something about it. `takes_urls`: it fetches the addresses in a
    message itself; else the gateway does. `closed`: the catalogue has all of its models. `crafts`: what it can do
    besides the chat of its wire. `files`, `stores`: what it keeps for callers. `bulk`: how it takes many questions at
    once, for less. `tuning`: how it trains models. `background`: how it answers chats in its own time. `voices`: how to
    ask for those that it speaks with, or which they always are. `transport` makes a way to it that is not our HTTP
    client. `foreign_names`: what it may call the model of another provider; for those that pass calls on.
    `cancel_billing`: what it bills of an answer that its caller left. `limit_headers`: how it tells what is left of its
    limits. `idempotency_header`: where it wants a name by which it knows work that is sent once more.
    """

    name: str
    base_url: str
    wire: Wire
    sign: Callable[[str], Mapping[str, str]] = bearer
    needs_key: bool = True
    only_if_named: bool = False
    takes_urls: bool = True
    closed: bool = False
    crafts: Mapping[Operation, AnyCraft] = field(default_factory=dict)
    bulk: BulkCraft | None = None
    tuning: TuningCraft | None = None
    files: StoredFiles | None = None
    stores: VectorStores | None = None
    background: BackgroundCraft | None = None
    voices: VoicesCraft | Sequence[audio_pb2.Voice] = ()
    transport: Callable[[ProviderSettings], OwnTransport] | None = None
    foreign_names: Callable[[str, str], Sequence[str]] | None = None
    cancel_billing: CancelBilling = CancelBilling.ESTIMATE
    limit_headers: LimitHeaders | None = None
    idempotency_header: str = ""

    @cached_property
    def capabilities(self) -> frozenset[models_pb2.Capability.ValueType]:
        """Of its wire and its crafts."""
        return self.wire.capabilities | {CAPABILITIES[operation] for operation in self.crafts}


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
        async with self.transport.open(self._named(self.wire.encode_chat(ask), ask)) as response:
            await self.accept(response, ask.pace)
            decoder = self.wire.decode_chat(ask, answer, response.headers.get("content-type", ""))
            async for data in response.chunks():
                decoder.feed(data)
                yield
            decoder.close()

    async def answer(self, ask: Ask, answer: Answer) -> None:
        """Ask for a whole answer. Raises UpstreamFailure."""
        async with self.transport.open(self._named(self.wire.encode_chat(ask), ask)) as response:
            await self.accept(response, ask.pace)
            decoder = self.wire.decode_chat(ask, answer, response.headers.get("content-type", ""))
            decoder.feed(await response.read(ANSWER_BYTES_MAX))
            decoder.close()

    async def count(self, ask: Ask) -> int | None:
        """Input tokens as the provider counts them; None where it cannot."""
        request = self.wire.encode_count(ask)
        return None if request is None else self.wire.decode_count(await self._fetch(request))

    async def models(self) -> list[Offered]:
        """The models that the provider offers."""
        return self.wire.decode_models(await self._fetch(self.wire.encode_models()))

    async def make(self, craft: Craft[InputT, BodyT], errand: Errand[InputT]) -> Product[BodyT]:
        """Have one piece of work done. Raises UpstreamFailure."""
        async with self.transport.open(self._named(craft.encode(errand), errand)) as response:
            await self.accept(response, errand.pace)
            return craft.decode(errand, response.headers, await response.read(PRODUCT_BYTES_MAX))

    async def speak(
        self, craft: SpeechCraft, errand: Errand[audio_pb2.SpeechInput], sound: Sound
    ) -> AsyncGenerator[None, None]:
        """Have a text spoken, and grow the sound; yields after each read. Closing it closes the socket."""
        async with self.transport.open(self._named(craft.encode(errand), errand)) as response:
            await self.accept(response, errand.pace)
            decoder = craft.decode(errand, sound, response.headers)
            async with aclosing(response.chunks()) as chunks:
                async for data in chunks:
                    decoder.feed(data)
                    yield
            decoder.close()

    async def voices(self) -> list[audio_pb2.Voice]:
        """The voices that the provider speaks with; none where it has none. Raises UpstreamFailure."""
        voices = self.provider.voices
        return voices.decode(await self._fetch(voices.encode())) if isinstance(voices, VoicesCraft) else list(voices)

    async def submit(self, craft: LongCraft[InputT, BodyT], errand: Errand[InputT]) -> str:
        """Begin long work; what the provider calls it. Raises UpstreamFailure."""
        async with self.transport.open(self._named(craft.submit(errand), errand)) as response:
            await self.accept(response, errand.pace)
            return craft.submitted(errand, response.headers, await response.read(BODY_BYTES_MAX))

    async def poll(
        self, craft: LongCraft[InputT, BodyT], errand: Errand[InputT], operation: str
    ) -> Pending | Product[BodyT]:
        """How far long work is, or what came of it. Raises UpstreamFailure."""
        async with self.transport.open(craft.poll(operation)) as response:
            await self.accept(response)
            body = await response.read(PRODUCT_BYTES_MAX)
            try:
                state = craft.polled(errand, operation, response.status, response.headers, body)
            except UpstreamFailure as failure:
                failure.is_final = failure.kind is not FailureKind.BROKEN  # what cannot be read tells nothing
                raise
        if isinstance(state, Pending) and state.fetchable and (request := craft.fetch(operation, body)):
            return await self._finished(craft, errand, operation, request)
        return state

    def _named(self, request: HttpRequest, errand: Errand[InputT]) -> HttpRequest:
        """With the same name each time, so that the provider can know it again."""
        header = self.provider.idempotency_header
        return request.saying(header, errand.named()) if header else request

    async def _finished(
        self, craft: LongCraft[InputT, BodyT], errand: Errand[InputT], operation: str, request: HttpRequest
    ) -> Product[BodyT]:
        """What long work has made; one redirect is followed, to the same provider only."""
        async with self.transport.open(request) as response:
            location = response.headers.get("location", "") if 300 <= response.status < 400 else ""
            onward = craft.onward(operation, location) if location else None
            if onward is None:
                await self.accept(response)
                return craft.fetched(errand, operation, response.headers, await response.read(PRODUCT_BYTES_MAX))
        async with self.transport.open(onward) as response:
            await self.accept(response)
            return craft.fetched(errand, operation, response.headers, await response.read(PRODUCT_BYTES_MAX))

    async def abandon(self, craft: LongCraft[InputT, BodyT], operation: str) -> None:
        """Stop long work, where the provider can. Raises UpstreamFailure."""
        if request := craft.cancel(operation):
            await self._fetch(request)

    async def _fetch(self, request: HttpRequest) -> bytes:
        exchange: AbstractAsyncContextManager[Response] = self.transport.open(request)
        async with exchange as response:
            await self.accept(response)
            return await response.read(BODY_BYTES_MAX)

    async def accept(self, response: Response, pace: Pace | None = None) -> None:
        """Raises UpstreamFailure where it is no good answer."""
        if pace is not None and self.provider.limit_headers is not None:
            pace.hear(self.provider.limit_headers, response.headers)
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
