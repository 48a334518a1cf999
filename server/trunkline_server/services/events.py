"""EventService: a tenant's events, past ones first and then as they happen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import events_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, draining, invalid
from trunkline_server.core.event import TYPES
from trunkline_server.store.news import News, heard
from trunkline_server.store.outbox import Outbox
from trunkline_server.store.wishes import Wishes

LOOK_S: Final = 1.0
"""How often a subscriber looks by itself, where no announcement comes."""
READ_MAX: Final = 500
PACKAGE: Final = events_pb2.DESCRIPTOR.package


@dataclass(frozen=True)
class EventService:
    """Past and present are read in the same way, so nothing is lost or doubled between them."""

    outbox: Outbox
    wishes: Wishes
    news: News
    draining: Callable[[], bool]

    async def subscribe(
        self, call: Call, request: events_pb2.SubscribeRequest
    ) -> AsyncGenerator[events_pb2.SubscribeResponse, None]:
        if unknown := [name for name in request.types if name not in TYPES]:
            raise invalid("types", f"{unknown[0]!r} is no type of event")
        wish = self.wishes.of(call.caller.tenant_id, request.types)
        await wish.renew()
        place = _Place(await self._begin(request))
        call.on_silence = place.told
        yield place.told()
        with self.news.watched() as news:
            while not self.draining():
                news.clear()
                await wish.renew()
                batch = await self.outbox.after(call.caller.tenant_id, place.position, request.types, READ_MAX)
                for event in batch.events:
                    place.position = event.position
                    yield events_pb2.SubscribeResponse(event=event.message())
                place.position = batch.position
                if len(batch.events) < READ_MAX:
                    await heard(news, LOOK_S)
        raise draining()

    async def list_event_types(
        self, call: Call, request: events_pb2.ListEventTypesRequest
    ) -> events_pb2.ListEventTypesResponse:
        types = [events_pb2.EventType(name=name, message=f"{PACKAGE}.{name}") for name in sorted(TYPES)]
        return events_pb2.ListEventTypesResponse(types=types)

    async def _begin(self, request: events_pb2.SubscribeRequest) -> int:
        forgot = await self.outbox.forgot()
        if not request.cursor:
            return forgot if request.from_beginning else await self.outbox.head()
        position = int(request.cursor)
        if position < forgot:
            raise TrunklineError(Reason.RESUME_EXPIRED, "events behind this cursor are no longer kept")
        return min(position, await self.outbox.head())


@dataclass
class _Place:
    """How far a subscriber has come."""

    position: int

    def told(self) -> events_pb2.SubscribeResponse:
        return events_pb2.SubscribeResponse(checkpoint=events_pb2.Checkpoint(cursor=str(self.position)))
