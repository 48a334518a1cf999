"""Puts webhooks together: their service, and who sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from google.protobuf.descriptor import ServiceDescriptor

from trunkline.v1 import webhooks_pb2
from trunkline_server.config import ProviderSection
from trunkline_server.core import address
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errors import invalid
from trunkline_server.core.page_token import PageTokens
from trunkline_server.edge.proofs import Proof, PublishedKeys, SharedSecret
from trunkline_server.edge.webhooks import WebhookDoor
from trunkline_server.gateway.jobs.wakes import Wakes
from trunkline_server.house.ground import Ground
from trunkline_server.providers.egress import Egress, EgressTimeouts
from trunkline_server.services.webhooks import WebhookService
from trunkline_server.store import outbox
from trunkline_server.store.inbound_webhooks import InboundWebhooks
from trunkline_server.store.news import News
from trunkline_server.store.outbox import Outbox
from trunkline_server.store.webhook_deliveries import WebhookDeliveries
from trunkline_server.store.webhook_endpoints import WebhookEndpoints
from trunkline_server.worker.chores import Chore, in_parts
from trunkline_server.worker.webhooks import Postman

KEYS_BYTES_MAX: Final = 256 * 1024
INBOUND_KEEP: Final = timedelta(days=3)
TIMEOUTS: Final = EgressTimeouts(connect_s=5.0, total_s=15.0)


@dataclass(frozen=True)
class Hooks:
    """`news` wakes who sends: on events, and when somebody asks. `wakes` are the pauses of jobs that providers do."""

    endpoints: WebhookEndpoints
    deliveries: WebhookDeliveries
    outbox: Outbox
    news: News
    egress: Egress
    policy: EgressPolicy
    keep: timedelta
    inbound: InboundWebhooks
    wakes: Wakes

    @classmethod
    async def open(cls, ground: Ground) -> Hooks:
        """Hears of events once this returns."""
        database, policy = ground.database, ground.policy
        news, egress, wakes = News(), Egress(policy, TIMEOUTS), Wakes()
        endpoints = WebhookEndpoints(database, ground.tenant_keys)
        ground.stack.push_async_callback(egress.close)
        await news.follow(database, outbox.CHANNEL)
        await wakes.follow(database)
        return cls(
            endpoints=endpoints,
            deliveries=WebhookDeliveries(database, endpoints),
            outbox=Outbox(database),
            news=news,
            egress=egress,
            policy=policy,
            keep=timedelta(days=ground.settings.events.keep_days),
            inbound=InboundWebhooks(database),
            wakes=wakes,
        )

    def service(self, tokens: PageTokens) -> tuple[ServiceDescriptor, object]:
        """What callers may ask of it."""
        descriptor = webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"]
        return descriptor, WebhookService(self.endpoints, self.deliveries, tokens, self.policy, self.news)

    def door(self, providers: Mapping[str, ProviderSection]) -> WebhookDoor:
        """For what providers send; each has its way to prove it."""
        secrets = {name: given.webhook_secret for name, given in providers.items() if given.webhook_secret}
        published = {name: given.webhook_keys_uri for name, given in providers.items() if given.webhook_keys_uri}
        proofs: dict[str, Proof] = {name: SharedSecret(secret) for name, secret in secrets.items()}
        proofs |= {name: PublishedKeys(partial(self._fetched, uri)) for name, uri in published.items()}
        return WebhookDoor(proofs, self.inbound.take)

    async def _fetched(self, uri: str) -> bytes:
        return (await self.egress.fetch(uri, owner=None, bytes_max=KEYS_BYTES_MAX, field="webhook_keys_uri")).data

    def postman(self) -> Postman:
        return Postman(self.deliveries, self.outbox, self.news, self.egress)

    def chores(self) -> list[Chore]:
        """Forgetting what is old."""
        return [
            Chore("give_up_webhooks", 10, in_parts(self.endpoints.give_up)),
            Chore("purge_webhooks", 600, in_parts(lambda: self.deliveries.purge(self.keep))),
            Chore("purge_inbound_webhooks", 3600, lambda: self.inbound.purge(INBOUND_KEEP)),
        ]

    async def callback(self, tenant_id: UUID, uri: str) -> str:
        """A job's address for callbacks in normal form. Raises URL_NOT_ALLOWED, and VALIDATION where nobody signs."""
        if not uri:
            return ""
        url = address.parse(uri, "callback_uri", self.policy).url
        if not await self.endpoints.takes_callbacks(tenant_id):
            raise invalid("callback_uri", "needs an endpoint that signs: CreateEndpoint with for_callbacks")
        return url
