"""WebhookService: a tenant's endpoints, and what was sent to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson

from trunkline.v1 import events_pb2, webhooks_pb2
from trunkline_server.core import address, ids
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.event import TYPES, type_of
from trunkline_server.core.moment import moment_of, timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.news import News
from trunkline_server.store.webhook_deliveries import Delivery, WebhookDeliveries
from trunkline_server.store.webhook_endpoints import Endpoint, Wanted, WebhookEndpoints

OVERLAP: Final = timedelta(days=1)
_STATES: Final[Mapping[str, webhooks_pb2.WebhookDeliveryState.ValueType]] = {
    "waiting": webhooks_pb2.WEBHOOK_DELIVERY_STATE_WAITING,
    "delivered": webhooks_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED,
    "failed": webhooks_pb2.WEBHOOK_DELIVERY_STATE_FAILED,
}


@dataclass(frozen=True)
class WebhookService:
    """`news` wakes who sends."""

    endpoints: WebhookEndpoints
    deliveries: WebhookDeliveries
    tokens: PageTokens
    policy: EgressPolicy
    news: News

    async def create_endpoint(
        self, call: Call, request: webhooks_pb2.CreateEndpointRequest
    ) -> webhooks_pb2.CreateEndpointResponse:
        if request.for_callbacks and (request.uri or request.types):
            raise invalid("for_callbacks", "jobs name the address, and all of their changes are told")
        uri = "" if request.for_callbacks else self._uri(request.uri)
        endpoint, secret = await self.endpoints.create(
            call.caller.tenant_id,
            uri,
            readable("description", request.description),
            _types("types", request.types),
            for_callbacks=request.for_callbacks,
            with_key_pair=request.with_key_pair,
        )
        return webhooks_pb2.CreateEndpointResponse(endpoint=_endpoint(endpoint), secret=secret)

    async def list_endpoints(
        self, call: Call, request: webhooks_pb2.ListEndpointsRequest
    ) -> webhooks_pb2.ListEndpointsResponse:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        rows = await self.endpoints.list(tenant_id, paging.behind or 0, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.number,))
        return webhooks_pb2.ListEndpointsResponse(endpoints=map(_endpoint, page), next_page_token=token)

    async def update_endpoint(
        self, call: Call, request: webhooks_pb2.UpdateEndpointRequest
    ) -> webhooks_pb2.UpdateEndpointResponse:
        tenant_id, endpoint_id = call.caller.tenant_id, _endpoint_id(request.endpoint_id)
        found = await self.endpoints.get(tenant_id, endpoint_id)
        if found.for_callbacks and (request.HasField("uri") or request.HasField("types")):
            raise invalid("endpoint_id", "is for callbacks: it has neither an address nor a filter")
        wanted = Wanted(
            uri=self._uri(request.uri) if request.HasField("uri") else None,
            description=readable("description", request.description) if request.HasField("description") else None,
            types=_types("types.names", request.types.names) if request.HasField("types") else None,
            enabled=request.enabled if request.HasField("enabled") else None,
        )
        endpoint = await self.endpoints.update(tenant_id, endpoint_id, wanted)
        return webhooks_pb2.UpdateEndpointResponse(endpoint=_endpoint(endpoint))

    async def delete_endpoint(
        self, call: Call, request: webhooks_pb2.DeleteEndpointRequest
    ) -> webhooks_pb2.DeleteEndpointResponse:
        await self.endpoints.delete(call.caller.tenant_id, _endpoint_id(request.endpoint_id))
        return webhooks_pb2.DeleteEndpointResponse()

    async def rotate_secret(
        self, call: Call, request: webhooks_pb2.RotateSecretRequest
    ) -> webhooks_pb2.RotateSecretResponse:
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else OVERLAP
        endpoint_id = _endpoint_id(request.endpoint_id)
        endpoint, secret = await self.endpoints.rotate(call.caller.tenant_id, endpoint_id, overlap)
        return webhooks_pb2.RotateSecretResponse(endpoint=_endpoint(endpoint), secret=secret)

    async def send_test_event(
        self, call: Call, request: webhooks_pb2.SendTestEventRequest
    ) -> webhooks_pb2.SendTestEventResponse:
        tenant_id, endpoint_id = call.caller.tenant_id, _endpoint_id(request.endpoint_id)
        if (await self.endpoints.get(tenant_id, endpoint_id)).for_callbacks:
            raise invalid("endpoint_id", "is for callbacks: it has no address")
        event_id, event = _test(request.endpoint_id)
        body = MessageToJson(event, indent=None, ensure_ascii=False)
        delivery = await self.deliveries.add(tenant_id, endpoint_id, event_id, event.type, body)
        if delivery is None:
            raise invalid("endpoint_id", "is disabled")
        self.news.heard()
        return webhooks_pb2.SendTestEventResponse(delivery=_delivery(delivery))

    async def list_deliveries(
        self, call: Call, request: webhooks_pb2.ListDeliveriesRequest
    ) -> webhooks_pb2.ListDeliveriesResponse:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        rows = await self.deliveries.list(
            tenant_id,
            before=paging.behind,
            endpoint_id=_endpoint_id(request.endpoint_id) if request.endpoint_id else None,
            state=next((name for name, number in _STATES.items() if number == request.state), ""),
            event_id=ids.require("evt", "event", request.event_id) if request.event_id else None,
            limit=paging.limit,
        )
        page, token = paging.cut(rows, lambda row: (row.number,))
        return webhooks_pb2.ListDeliveriesResponse(deliveries=map(_delivery, page), next_page_token=token)

    async def redeliver(self, call: Call, request: webhooks_pb2.RedeliverRequest) -> webhooks_pb2.RedeliverResponse:
        count = await self._again(call.caller.tenant_id, request)
        self.news.heard()
        return webhooks_pb2.RedeliverResponse(delivery_count=count)

    async def _again(self, tenant_id: UUID, request: webhooks_pb2.RedeliverRequest) -> int:
        if request.HasField("delivery_id"):
            return await self.deliveries.again(tenant_id, ids.require("whdl", "webhook_delivery", request.delivery_id))
        failed = request.failed
        since = moment_of("failed.since_time", failed.since_time) if failed.HasField("since_time") else None
        return await self.deliveries.failed_again(tenant_id, _endpoint_id(failed.endpoint_id), since)

    def _uri(self, uri: str) -> str:
        """In normal form. Raises URL_NOT_ALLOWED."""
        return address.parse(uri, "uri", self.policy).url


def _test(endpoint_id: str) -> tuple[UUID, events_pb2.Event]:
    """An event that stands in no outbox: it is for one endpoint alone."""
    event_id = ids.new_uuid()
    event = events_pb2.Event(
        event_id=ids.spell("evt", event_id),
        create_time=timestamp(datetime.now(UTC)),
        webhook_tested=events_pb2.WebhookTested(endpoint_id=endpoint_id),
    )
    event.type = type_of(event)
    return event_id, event


def _types(path: str, names: Iterable[str]) -> list[str]:
    known = sorted(set(names))
    if unknown := [name for name in known if name not in TYPES]:
        raise invalid(path, f"{unknown[0]!r} is no type of event")
    return known


def _endpoint_id(text: str) -> UUID:
    return ids.require("whep", "webhook_endpoint", text)


def _endpoint(row: Endpoint) -> webhooks_pb2.WebhookEndpoint:
    return webhooks_pb2.WebhookEndpoint(
        endpoint_id=ids.spell("whep", row.endpoint_id),
        uri=row.uri,
        description=row.description,
        types=row.types,
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        for_callbacks=row.for_callbacks,
        create_time=timestamp(row.create_time),
        secret_time=timestamp(row.secret_time),
        old_secret_expire_time=timestamp(row.old_until),
        failing_since_time=timestamp(row.failing_since),
        public_key=row.public_key,
    )


def _delivery(row: Delivery) -> webhooks_pb2.WebhookDelivery:
    took = Duration()
    took.FromMilliseconds(row.took_ms)
    return webhooks_pb2.WebhookDelivery(
        delivery_id=ids.spell("whdl", row.delivery_id),
        endpoint_id=ids.spell("whep", row.endpoint_id),
        event_id=ids.spell("evt", row.event_id),
        type=row.type,
        callback_uri=row.callback_uri,
        state=_STATES[row.state],
        attempt_count=row.attempt,
        next_attempt_time=timestamp(row.next_time if row.state == "waiting" else None),
        http_status=row.http_status,
        error=row.error,
        duration=took if row.attempt else None,
        create_time=timestamp(row.create_time),
        end_time=timestamp(row.end_time),
    )
