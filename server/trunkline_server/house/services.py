"""What the doors offer: every service of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from types import ModuleType
from typing import Final, TypeAlias

from google.protobuf.descriptor import ServiceDescriptor

from trunkline.v1 import (
    actions_pb2,
    admin_pb2,
    analytics_pb2,
    assistants_pb2,
    audio_pb2,
    audit_pb2,
    chat_pb2,
    collections_pb2,
    conversations_pb2,
    credits_pb2,
    embeddings_pb2,
    files_pb2,
    fine_tuning_pb2,
    images_pb2,
    limits_pb2,
    models_pb2,
    moderation_pb2,
    prompts_pb2,
    providers_pb2,
    tasks_pb2,
    vector_stores_pb2,
)
from trunkline_server import __version__
from trunkline_server.core.browser_token import BrowserTokens
from trunkline_server.core.page_token import PageTokens
from trunkline_server.door.pressure import memory_share
from trunkline_server.door.server import Drain
from trunkline_server.door.status import to_status
from trunkline_server.gateway.cache.recall import Recall
from trunkline_server.gateway.completions import Completions
from trunkline_server.gateway.stops import Stops
from trunkline_server.gateway.vitals import Thresholds, Vitals
from trunkline_server.house.entrance import Entrance
from trunkline_server.house.limiting import cache_settings
from trunkline_server.house.tasks import AT_ONCE, tasks_over
from trunkline_server.services.admin import AdminService, Replica
from trunkline_server.services.analytics.service import AnalyticsService
from trunkline_server.services.assistants import AssistantService
from trunkline_server.services.audio import AudioService
from trunkline_server.services.audit import AuditService
from trunkline_server.services.chat import ChatService
from trunkline_server.services.conversations import ConversationService
from trunkline_server.services.credits import CreditService
from trunkline_server.services.embeddings import EmbeddingService
from trunkline_server.services.files import FileService
from trunkline_server.services.images import ImageService
from trunkline_server.services.limits import LimitService
from trunkline_server.services.models import ModelService
from trunkline_server.services.moderation import ModerationService
from trunkline_server.services.prompts import PromptService
from trunkline_server.services.providers import ProviderService
from trunkline_server.services.tasks import TaskService
from trunkline_server.services.vector_stores import VectorStoreService
from trunkline_server.store.cluster import is_at
from trunkline_server.store.custom_events import CustomEvents
from trunkline_server.store.provider_checks import ProviderChecks
from trunkline_server.store.usage import Usage
from trunkline_server.store.vector_stores import VectorStores

CHECKS_KEPT: Final = 3
"""What is older than so many looks at a provider says nothing any more."""

Served: TypeAlias = Mapping[ModuleType, object]


class Offered:
    """`stops` must be followed before the doors open."""

    def __init__(self, entrance: Entrance, drain: Drain) -> None:
        engine = entrance.engine
        self._entrance = entrance
        self._engine = engine
        self._settings = engine.ground.settings
        self._drain = drain
        self._tokens = PageTokens.derive(engine.ground.secret)
        self.stops = Stops(engine.calls.live, engine.calls.ledger, engine.ground.database)

    def services(self) -> Iterator[tuple[ServiceDescriptor, object]]:
        """Each with what the contract says of it."""
        for served in (self._answering(), self._talking(), self._keeping(), self._ruling()):
            yield from (_named(module, service) for module, service in served.items())
        yield from self._engine.tooling.services(self._tokens)
        yield from self._engine.background.services(self._tokens, self._draining)

    def _answering(self) -> Served:
        engine, calls, tokens = self._engine, self._engine.calls, self._tokens
        registry, lines = calls.routes.registry, calls.routes.lines
        return {
            chat_pb2: self._chat(),
            tasks_pb2: TaskService(tasks_over(self._settings.tasks, engine.ground.database, self._recall, AT_ONCE)),
            embeddings_pb2: EmbeddingService(engine.errands),
            images_pb2: ImageService(engine.errands),
            audio_pb2: AudioService(engine.errands, registry),
            moderation_pb2: ModerationService(engine.errands, calls.guards.policies),
            models_pb2: ModelService(calls.routes, tokens, calls.learning, calls.sync),
            providers_pb2: ProviderService(registry, lines, tokens, calls.accounts, calls.own, self._draining),
        }

    def _talking(self) -> Served:
        talks, policy, tokens = self._engine.talks, self._engine.ground.policy, self._tokens
        minutes = talks.minutes
        return {
            prompts_pb2: PromptService(talks.cast.prompts, tokens, policy),
            assistants_pb2: AssistantService(talks.cast.assistants, self._engine.archive.files, tokens),
            conversations_pb2: ConversationService(
                talks.conversations, minutes.messages, minutes.tails, tokens, policy
            ),
        }

    def _keeping(self) -> Served:
        engine, tokens = self._engine, self._tokens
        vector_stores = VectorStores(engine.ground.database)
        return {
            collections_pb2: engine.collecting.service(tokens, engine.background.orders, engine.background.jobs),
            files_pb2: FileService(engine.archive, tokens),
            vector_stores_pb2: VectorStoreService(vector_stores, engine.copies, tokens),
            fine_tuning_pb2: engine.tuning.service(tokens),
            actions_pb2: engine.actions.service(tokens),
        }

    def _ruling(self) -> Served:
        engine, database, tokens = self._engine, self._engine.ground.database, self._tokens
        return {
            limits_pb2: LimitService(engine.calls.limiter, tokens),
            credits_pb2: CreditService(engine.calls.ledger, tokens),
            analytics_pb2: AnalyticsService(database, tokens, CustomEvents(database)),
            audit_pb2: AuditService(engine.audit, tokens),
            admin_pb2: AdminService(
                self._entrance.tenants,
                self._entrance.keys,
                tokens,
                self._replica(),
                engine.shelf,
                self.vitals(),
                BrowserTokens.derive(engine.ground.secret),
                self._entrance.callers.forget,
            ),
        }

    def _draining(self) -> bool:
        return self._drain.draining

    @cached_property
    def _recall(self) -> Recall:
        engine = self._engine
        return Recall(engine.calls.gateway, engine.calls.ledger, engine.shelf, cache_settings(self._settings))

    def _chat(self) -> ChatService:
        engine = self._engine
        return ChatService(
            talks=engine.talks,
            gateway=self._recall,
            tools=engine.tooling.loop(self._recall),
            completions=Completions(Usage(engine.ground.database), self._entrance.results, engine.calls.live),
            stops=self.stops,
            streams=engine.streams,
            questions=engine.questions,
            policy=engine.ground.policy,
            describe=to_status,
        )

    def vitals(self) -> Vitals:
        """Each counts the load between its own looks."""
        engine, settings, health = self._engine, self._settings, self._settings.health
        return Vitals(
            engine.ground.database,
            self._is_embedded,
            settings.data_path,
            engine.calls.routes.registry,
            engine.calls.routes.lines,
            engine.calls.live,
            self._draining,
            memory_share,
            partial(ProviderChecks(engine.ground.database).all, CHECKS_KEPT * settings.routing.check_every_s),
            Thresholds(health.disk_free_min, health.memory_max, health.connections_max),
        )

    @property
    def _is_embedded(self) -> bool:
        url = self._settings.database_url
        return not url or is_at(self._settings.data_path / "postgres", url)

    def _replica(self) -> Replica:
        engine = self._engine
        return Replica(
            version=__version__,
            replica_id=engine.ground.replica_id,
            start_time=datetime.now(UTC),
            database_embedded=self._is_embedded,
            draining=self._draining,
            live_call_count=lambda: len(engine.calls.live),
            expired_reservation_count=lambda: engine.calls.ledger.expired_count,
            drain=self._drain.ask,
        )


def _named(module: ModuleType, service: object) -> tuple[ServiceDescriptor, object]:
    """A file of the contract has one service."""
    (descriptor,) = module.DESCRIPTOR.services_by_name.values()
    return descriptor, service
