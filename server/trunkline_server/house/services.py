"""What the doors offer: every service of the contract, and how long its calls may take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from types import ModuleType
from typing import Final

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
from trunkline_server.config import Settings
from trunkline_server.core.browser_token import BrowserTokens
from trunkline_server.core.page_token import PageTokens
from trunkline_server.door.boundary import Deadlines
from trunkline_server.door.pressure import memory_share
from trunkline_server.door.server import Drain
from trunkline_server.door.status import to_status
from trunkline_server.gateway.cache.recall import Recall
from trunkline_server.gateway.completions import Completions
from trunkline_server.gateway.stops import Stops
from trunkline_server.gateway.vitals import Thresholds, Vitals
from trunkline_server.house.actions import CALL_TIMEOUT_S
from trunkline_server.house.engine import Engine
from trunkline_server.house.limiting import cache_settings
from trunkline_server.house.tasks import AT_ONCE, METHODS, tasks_over
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
from trunkline_server.store.idempotency import Idempotency
from trunkline_server.store.keys import Keys
from trunkline_server.store.provider_checks import ProviderChecks
from trunkline_server.store.tenants import Tenants
from trunkline_server.store.usage import Usage
from trunkline_server.store.vector_stores import VectorStores

OTHER_TIMEOUT_S: Final = 10.0
MANY_TIMEOUT_S: Final = 600.0
MEDIA_TIMEOUT_S: Final = 300.0
COLLECTING_TIMEOUT_S: Final = 300.0
TRANSFER_TIMEOUT_S: Final = 900.0
SYNC_TIMEOUT_S: Final = 30.0
WATCH_TIMEOUT_S: Final = 900.0
CHECKS_KEPT: Final = 3
"""What is older than so many looks at a provider says nothing any more."""

_MEDIA: Final = ("GenerateImages", "EditImages", "SynthesizeSpeech", "Transcribe", "TranslateAudio")
_COLLECTING: Final = ("UpsertDocuments", "DeleteDocuments", "DeleteCollection", "CreateCollection", "Search")
_TRANSFERS: Final = ("UploadFile", "DownloadFile")
_TUNING: Final = ("CreateDataset", "ValidateDataset", "CreateFineTune")
_KEPT_ABROAD: Final = ("CreateVectorStore", "AddFiles", "RemoveFiles", "SearchVectorStore")
_TOOLS: Final = ("InvokeTool", "CallMcpTool", "CreateMcpServer", "RefreshMcpServer")
_TEXTS: Final = ("Complete", "Embed", "Rerank", "Moderate")


class Offered:
    """`stops` must be followed before the doors open."""

    def __init__(
        self, settings: Settings, engine: Engine, drain: Drain, *, keys: Keys, tenants: Tenants, results: Idempotency
    ) -> None:
        self.stops = Stops(engine.live, engine.ledger, engine.database)
        self._settings = settings
        self._engine = engine
        self._drain = drain
        self._keys = keys
        self._tenants = tenants
        self._results = results
        self._tokens = PageTokens.derive(engine.secret)

    def services(self) -> Iterator[tuple[ServiceDescriptor, object]]:
        """Each with what the contract says of it."""
        yield from (_named(module, service) for module, service in self._served().items())
        yield from self._engine.tooling.services(self._tokens)
        yield from self._engine.background.services(self._tokens, lambda: self._drain.draining)

    def _served(self) -> Mapping[ModuleType, object]:
        engine, tokens = self._engine, self._tokens
        registry = engine.routes.registry
        return {
            chat_pb2: self._chat(),
            embeddings_pb2: EmbeddingService(engine.errands),
            collections_pb2: engine.collecting.service(tokens, engine.background.orders, engine.background.jobs),
            images_pb2: ImageService(engine.errands),
            audio_pb2: AudioService(engine.errands, registry),
            files_pb2: FileService(engine.archive, tokens),
            fine_tuning_pb2: engine.tuning.service(tokens),
            vector_stores_pb2: VectorStoreService(VectorStores(engine.database), engine.copies, tokens),
            moderation_pb2: ModerationService(engine.errands, engine.guards.policies),
            limits_pb2: LimitService(engine.limiter, tokens),
            credits_pb2: CreditService(engine.ledger, tokens),
            analytics_pb2: AnalyticsService(engine.database, tokens, CustomEvents(engine.database)),
            models_pb2: ModelService(engine.routes, tokens, engine.learning, engine.sync),
            providers_pb2: ProviderService(
                registry, engine.routes.lines, tokens, engine.accounts, engine.own, lambda: self._drain.draining
            ),
            actions_pb2: engine.actions.service(tokens),
            tasks_pb2: self._tasks(),
            prompts_pb2: PromptService(engine.talks.cast.prompts, tokens, engine.errands.policy),
            assistants_pb2: AssistantService(engine.talks.cast.assistants, engine.archive.files, tokens),
            conversations_pb2: ConversationService(
                engine.talks.conversations,
                engine.talks.minutes.messages,
                engine.talks.minutes.tails,
                tokens,
                engine.errands.policy,
            ),
            audit_pb2: AuditService(engine.audit, tokens),
            admin_pb2: AdminService(
                self._tenants,
                self._keys,
                tokens,
                self._replica(),
                engine.shelf,
                self.vitals(),
                BrowserTokens.derive(engine.secret),
            ),
        }

    @cached_property
    def _recall(self) -> Recall:
        engine = self._engine
        return Recall(engine.gateway, engine.ledger, engine.shelf, cache_settings(self._settings))

    def _tasks(self) -> TaskService:
        return TaskService(tasks_over(self._settings.tasks, self._engine.database, self._recall, AT_ONCE))

    def _chat(self) -> ChatService:
        engine = self._engine
        return ChatService(
            talks=engine.talks,
            gateway=self._recall,
            tools=engine.tooling.loop(self._recall),
            completions=Completions(Usage(engine.database), self._results, engine.live),
            stops=self.stops,
            streams=engine.streams,
            questions=engine.questions,
            policy=engine.errands.policy,
            describe=to_status,
        )

    def vitals(self) -> Vitals:
        """Each counts the load between its own looks."""
        engine, settings, health = self._engine, self._settings, self._settings.health
        return Vitals(
            engine.database,
            self._is_embedded,
            settings.data_path,
            engine.routes.registry,
            engine.routes.lines,
            engine.live,
            lambda: self._drain.draining,
            memory_share,
            partial(ProviderChecks(engine.database).all, CHECKS_KEPT * settings.routing.check_every_s),
            Thresholds(health.disk_free_min, health.memory_max, health.connections_max),
        )

    @property
    def _is_embedded(self) -> bool:
        url = self._settings.database_url
        return not url or is_at(self._settings.data_path / "postgres", url)

    def _replica(self) -> Replica:
        engine, drain = self._engine, self._drain
        return Replica(
            version=__version__,
            replica_id=engine.replica_id,
            start_time=datetime.now(UTC),
            database_embedded=self._is_embedded,
            draining=lambda: drain.draining,
            live_call_count=lambda: len(engine.live),
            expired_reservation_count=lambda: engine.ledger.expired_count,
            drain=drain.ask,
        )


def deadlines_of(settings: Settings) -> Deadlines:
    own = {
        **dict.fromkeys(_TEXTS, settings.chat.unary_timeout_s),
        **dict.fromkeys(_MEDIA, MEDIA_TIMEOUT_S),
        **dict.fromkeys(METHODS, MANY_TIMEOUT_S),
        **dict.fromkeys(_KEPT_ABROAD, MEDIA_TIMEOUT_S),
        **dict.fromkeys(_TRANSFERS, TRANSFER_TIMEOUT_S),
        **dict.fromkeys(_TUNING, MEDIA_TIMEOUT_S),
        **dict.fromkeys(("Stream", "ResumeStream"), settings.chat.stream_timeout_s),
        "CompleteMany": MANY_TIMEOUT_S,
        **dict.fromkeys(_COLLECTING, COLLECTING_TIMEOUT_S),
        "ExecuteAction": CALL_TIMEOUT_S,
        "SyncModels": SYNC_TIMEOUT_S,
        "VerifyLog": MANY_TIMEOUT_S,
        "WatchProviderHealth": WATCH_TIMEOUT_S,
        **dict.fromkeys(_TOOLS, settings.tools.timeout_s + OTHER_TIMEOUT_S),
    }
    return Deadlines(own, OTHER_TIMEOUT_S)


def _named(module: ModuleType, service: object) -> tuple[ServiceDescriptor, object]:
    """A file of the contract has one service."""
    (descriptor,) = module.DESCRIPTOR.services_by_name.values()
    return descriptor, service
