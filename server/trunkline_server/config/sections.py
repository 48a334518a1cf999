"""Everything that can be set, section by section, with its default and what it may be."""

from __future__ import annotations

import os
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.money import from_decimal_text
from trunkline_server.providers.settings import ProviderSettings

SHARED_NAMES: Final = ("PATH", "HOME", "LANG", "TMPDIR")

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Ratio = Annotated[float, Meta(gt=0, le=1)]
GuardLevel = Literal["off", "standard", "strict"]
McpServerName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
ProviderName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class GrpcSection(Section, frozen=True):
    """The gRPC door."""

    address: str = "127.0.0.1:50051"
    reflection: bool | None = None
    receive_bytes_max: Positive = 8 * 1024 * 1024
    concurrent_streams_max: Positive = 1000
    heartbeat_s: Seconds = 15.0
    drain_delay_s: Annotated[float, Meta(ge=0)] = 5.0
    drain_grace_s: Annotated[float, Meta(ge=0)] = 25.0
    health_address: str = ""


class HttpSection(Section, frozen=True):
    """The HTTP door. It takes more bytes than gRPC, because JSON spells files in base64."""

    address: str = "127.0.0.1:8080"
    allowed_origins: tuple[str, ...] = ()
    receive_bytes_max: Positive = 12 * 1024 * 1024
    connections_max: Positive = 1000
    streams_per_key_max: Positive = 100
    head_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 75.0


class TlsSection(Section, frozen=True):
    """Certificates of both doors, and those of callers."""

    certificate_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth: Literal["none", "optional", "required"] = "none"
    reload_s: Seconds = 10.0


class IdentitySection(Section, frozen=True):
    """A workload, known by the name in its certificate."""

    name: str
    scopes: tuple[str, ...]
    tenant: str = "default"
    models: tuple[str, ...] = ()
    priority: Literal["sheddable", "batch", "interactive", "critical"] = "interactive"


class IssuerSection(Section, frozen=True):
    """Somebody whose tokens are believed: never by a shared secret, and never unsigned."""

    issuer: str
    audience: str
    jwks_uri: str
    scopes: tuple[str, ...]
    algorithms: tuple[Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"], ...] = ("RS256",)
    tenant: str = "default"
    scope_claim: str = ""
    user_claim: str = "sub"


class AuthSection(Section, frozen=True):
    """Who may call: API keys, certificates, tokens of others."""

    pepper: str = ""
    cache_ttl_s: Seconds = 60.0
    signature_window_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    identities: tuple[IdentitySection, ...] = ()
    issuers: tuple[IssuerSection, ...] = ()


class SecretsSection(Section, frozen=True):
    """The keys that tenants' secrets are sealed under, by version."""

    kek: dict[Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}$")], str] = field(default_factory=dict)

    @property
    def keys(self) -> dict[int, bytes]:
        """Raises ValueError where one is not base64."""
        return {int(version): b64decode(key, validate=True) for version, key in self.kek.items()}

    def __repr__(self) -> str:
        return "SecretsSection(***)"


class DatabaseSection(Section, frozen=True):
    """PostgreSQL."""

    pool_max: Positive = 10
    acquire_timeout_s: Seconds = 0.25
    command_timeout_s: Seconds = 1.0


class ChatSection(Section, frozen=True):
    """Chat calls."""

    unary_timeout_s: Seconds = 120.0
    stream_timeout_s: Seconds = 600.0
    first_token_timeout_s: Seconds = 30.0
    idle_timeout_s: Seconds = 60.0
    attempts_max: Annotated[int, Meta(ge=1, le=4)] = 3
    default_max_output_tokens: Count = 0
    unknown_price: Literal["reject", "free"] = "reject"


class StreamsSection(Section, frozen=True):
    """Streams that callers may come back to."""

    grace_s: Seconds = 60.0
    keep_s: Seconds = 300.0
    bytes_max: Positive = 1024 * 1024
    memory_bytes_max: Count = 64 * 1024 * 1024


class RoutingSection(Section, frozen=True):
    """Which providers are asked for a call, and in which order."""

    strategy: Literal["priority", "round_robin", "weighted", "least_cost", "least_latency"] = "priority"
    universal_fallback: str = "openrouter"
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    weights: dict[str, Annotated[float, Meta(ge=0)]] = field(default_factory=dict)
    provider_calls_max: Positive = 256
    hedging: bool = False
    check_every_s: Annotated[float, Meta(ge=0)] = 300.0


class BreakersSection(Section, frozen=True):
    """When a provider's model gets no more calls, and for how long."""

    failures_in_row_max: Positive = 5
    calls_min: Positive = 20
    failure_ratio: Ratio = 0.5
    slow_ratio: Ratio = 0.8
    slow_first_word_s: Seconds = 10.0
    slow_answer_s: Seconds = 60.0
    open_s: Seconds = 30.0
    open_s_max: Seconds = 300.0


class CreditsSection(Section, frozen=True):
    """Credits. Amounts are decimal text, so that no digit is lost."""

    default_grant: str = "100"
    per_usd: str = "1"
    provider_prices: bool = True
    tenant_unlimited: bool = True
    hold_retention_days: Annotated[int, Meta(ge=2, le=3650)] = 30

    @property
    def default_grant_nanos(self) -> int:
        return from_decimal_text(self.default_grant)

    @property
    def per_usd_nanos(self) -> int:
        return from_decimal_text(self.per_usd)


class JobsSection(Section, frozen=True):
    """Background work. A limit of 0: none."""

    worker: bool = True
    concurrency: Positive = 16
    queues: tuple[str, ...] = ()
    lease_s: Seconds = 30.0
    look_s: Seconds = 1.0
    attempts_max: Annotated[int, Meta(ge=1, le=20)] = 5
    timeout_s: Annotated[float, Meta(ge=1)] = 600.0
    life_s: Annotated[float, Meta(ge=1)] = 86400.0
    keep_days: Positive = 7
    tenant_running_max: Count = 0
    user_running_max: Count = 0
    model_running_max: Count = 0
    http_address: str = ""


class EventsSection(Section, frozen=True):
    """What happened."""

    keep_days: Positive = 7


class AnalyticsSection(Section, frozen=True):
    """What calls used, and sums of it."""

    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 90


class DashboardSection(Section, frozen=True):
    """The pages at `/dashboard`."""

    enabled: bool = True
    session_s: Annotated[int, Meta(ge=60, le=2592000)] = 43200


class ConversationsSection(Section, frozen=True):
    """How long conversations are kept, 0: for ever, of those in which nobody speaks; and what of them is near by."""

    deleted_keep_days: Positive = 30
    idle_keep_days: Count = 0
    tails_in_redis: bool = False


class CollectionsSection(Section, frozen=True):
    """Where the vectors of new collections are kept."""

    store: Literal["pgvector", "qdrant", "weaviate", "pinecone"] = "pgvector"
    qdrant_url: str = ""
    qdrant_api_key: str = ""
    weaviate_url: str = ""
    weaviate_api_key: str = ""
    pinecone_url: str = "https://api.pinecone.io"
    pinecone_api_key: str = ""
    pinecone_cloud: str = "aws"
    pinecone_region: str = "us-east-1"

    def __repr__(self) -> str:
        return f"CollectionsSection(store={self.store!r})"


class FilesSection(Section, frozen=True):
    """Where the bytes of callers' files lie. `folder` empty: below the data directory."""

    store: Literal["database", "folder", "bucket"] = "database"
    folder: str = ""
    bucket: str = ""
    bucket_endpoint: str = ""
    bucket_region: str = "us-east-1"
    bucket_access_key: str = ""
    bucket_secret_key: str = ""
    bucket_prefix: str = ""

    def __repr__(self) -> str:
        return f"FilesSection(store={self.store!r}, ***)"


class LimitsSection(Section, frozen=True):
    """Rate limits."""

    redis_timeout_s: Seconds = 0.05
    replicas_min: Positive = 1


class CacheSection(Section, frozen=True):
    """Kept answers."""

    ttl_s: Seconds = 3600.0
    stale_s: Annotated[float, Meta(ge=0)] = 86400.0
    memory_bytes_max: Count = 64 * 1024 * 1024
    answer_bytes_max: Positive = 1024 * 1024
    hit_price: str = "0"
    embedding_model: str = ""
    similar_entries_max: Positive = 10_000


class GuardSection(Section, frozen=True):
    """What is kept out of everybody's calls."""

    input_harm: GuardLevel = "off"
    input_personal_data: GuardLevel = "off"
    output_harm: GuardLevel = "off"
    output_personal_data: GuardLevel = "off"
    action: Literal["mask", "redact", "refuse"] = "mask"
    moderation_model: str = ""


class OverloadSection(Section, frozen=True):
    """How many calls a replica takes at once."""

    calls_min: Positive = 256
    calls_max: Positive = 2000
    lag_s: Seconds = 0.05


class TelemetrySection(Section, frozen=True):
    """What is counted and traced. Nothing is sent anywhere without an address."""

    metrics: bool = True
    otlp_endpoint: str = ""
    otlp_headers: dict[str, str] = field(default_factory=dict)
    trace_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.1
    export_s: Seconds = 15.0

    def __repr__(self) -> str:
        return f"TelemetrySection(metrics={self.metrics})"


class HealthSection(Section, frozen=True):
    """When a replica says that it is not well: shares of what there is."""

    disk_free_min: Ratio = 0.05
    memory_max: Ratio = 0.85
    connections_max: Ratio = 1.0


class EgressSection(Section, frozen=True):
    """Addresses that callers give."""

    allow_private_hosts: tuple[str, ...] = ()
    allow_http_hosts: tuple[str, ...] = ()


class ToolsSection(Section, frozen=True):
    """Tools that the gateway runs for models."""

    rounds_max: Annotated[int, Meta(ge=0, le=64)] = 8
    parallel_max: Positive = 4
    timeout_s: Seconds = 30.0
    result_bytes_max: Positive = 64 * 1024


class McpServerSection(Section, frozen=True):
    """An MCP server of the operator's: a program, with what it sees of an environment."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    environment: dict[str, str] = field(default_factory=dict)
    needs_approval: bool = False

    @property
    def seen(self) -> dict[str, str]:
        """All that the program sees: of our own environment, which may hold keys, only where programs and homes are."""
        return {name: os.environ[name] for name in SHARED_NAMES if name in os.environ} | self.environment

    def __repr__(self) -> str:
        return "McpServerSection(***)"


class TasksSection(Section, frozen=True):
    """Tasks."""

    models: dict[
        Literal["default", "classify", "extract", "summarize", "translate", "generate_code"], tuple[str, ...]
    ] = field(default_factory=dict)
    piece_tokens: Annotated[int, Meta(ge=128)] = 12_000


class TuningPriceSection(Section, frozen=True):
    """What it costs to train a model, and to call it then. US dollars for a million tokens, as decimal text."""

    model: Annotated[str, Meta(pattern="^[^/]+/.+$")]
    training_price: str
    input_price: str = ""
    output_price: str = ""


class FineTuningSection(Section, frozen=True):
    """Fine-tuning."""

    prices: tuple[TuningPriceSection, ...] = ()


class ModelSection(Section, frozen=True):
    """A model of a server of one's own. Prices are US dollars for a million tokens, as decimal text."""

    name: str
    context_window: Count = 0
    max_output_tokens: Count = 0
    input_price: str = ""
    output_price: str = ""


class ProviderSection(Section, frozen=True):
    """One provider."""

    enabled: bool = True
    wire: Literal["openai", "azure", "anthropic", "gemini", "cohere", "ollama"] | None = None
    base_url: str = ""
    api_key: str = ""
    key_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]*$")] = ""
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    free: bool = False
    price_list: Literal["", "per_token", "per_million"] = ""
    cancel_billing: CancelBilling | None = None
    webhook_secret: str = ""
    webhook_keys_uri: str = ""
    models: tuple[ModelSection, ...] = ()

    @property
    def settings(self) -> ProviderSettings:
        """What the provider itself needs of it."""
        return ProviderSettings(
            enabled=self.enabled,
            dialect=self.wire or "",
            base_url=self.base_url,
            api_key=self.api_key,
            key_header=self.key_header,
            headers=self.headers,
            query=self.query,
            price_list=self.price_list,
            cancel_billing=self.cancel_billing,
        )

    def __repr__(self) -> str:
        return f"ProviderSection(enabled={self.enabled}, wire={self.wire!r})"


class Settings(Section, frozen=True):
    """Everything that can be set."""

    preset: str = ""
    data_dir: str = ".trunkline"
    database_url: str = ""
    redis_url: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    grpc: GrpcSection = field(default_factory=GrpcSection)
    http: HttpSection = field(default_factory=HttpSection)
    tls: TlsSection = field(default_factory=TlsSection)
    auth: AuthSection = field(default_factory=AuthSection)
    secrets: SecretsSection = field(default_factory=SecretsSection)
    database: DatabaseSection = field(default_factory=DatabaseSection)
    chat: ChatSection = field(default_factory=ChatSection)
    streams: StreamsSection = field(default_factory=StreamsSection)
    routing: RoutingSection = field(default_factory=RoutingSection)
    breakers: BreakersSection = field(default_factory=BreakersSection)
    credits: CreditsSection = field(default_factory=CreditsSection)
    jobs: JobsSection = field(default_factory=JobsSection)
    events: EventsSection = field(default_factory=EventsSection)
    analytics: AnalyticsSection = field(default_factory=AnalyticsSection)
    dashboard: DashboardSection = field(default_factory=DashboardSection)
    conversations: ConversationsSection = field(default_factory=ConversationsSection)
    collections: CollectionsSection = field(default_factory=CollectionsSection)
    files: FilesSection = field(default_factory=FilesSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    cache: CacheSection = field(default_factory=CacheSection)
    guard: GuardSection = field(default_factory=GuardSection)
    overload: OverloadSection = field(default_factory=OverloadSection)
    telemetry: TelemetrySection = field(default_factory=TelemetrySection)
    health: HealthSection = field(default_factory=HealthSection)
    egress: EgressSection = field(default_factory=EgressSection)
    tools: ToolsSection = field(default_factory=ToolsSection)
    mcp_servers: dict[McpServerName, McpServerSection] = field(default_factory=dict)
    tasks: TasksSection = field(default_factory=TasksSection)
    fine_tuning: FineTuningSection = field(default_factory=FineTuningSection)
    providers: dict[ProviderName, ProviderSection] = field(default_factory=dict)

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).expanduser().absolute()

    @property
    def provider_settings(self) -> dict[str, ProviderSettings]:
        """By the name of the provider."""
        return {name: section.settings for name, section in self.providers.items()}

    def __repr__(self) -> str:
        return "Settings(***)"
