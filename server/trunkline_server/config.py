"""Settings: one TOML file and the environment, read once, refused loudly when wrong. Nobody else reads the environment.

`[chat] unary_timeout_s` in the file is `TRUNKLINE_CHAT__UNARY_TIMEOUT_S` in the environment, which wins.
"""

from __future__ import annotations

import os
import tomllib
from base64 import b64decode
from collections.abc import Mapping
from copy import deepcopy
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.inbound_webhook import check_secret
from trunkline_server.core.money import from_decimal_text
from trunkline_server.core.preset import lay_over, presets
from trunkline_server.core.sealing import KEY_BYTES
from trunkline_server.providers.builtin import NAMES
from trunkline_server.providers.settings import ProviderSettings

PREFIX: Final = "TRUNKLINE_"
CLIENT_NAMES: Final = tuple(PREFIX + name for name in ("ADDRESS", "API_KEY", "CA", "CERT", "CERT_KEY"))
"""Names that are not settings: clients on the same machine read them."""

SHARED_NAMES: Final = ("PATH", "HOME", "LANG", "TMPDIR")

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Ratio = Annotated[float, Meta(gt=0, le=1)]
GuardLevel = Literal["off", "standard", "strict"]
McpServerName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
ProviderName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class ConfigError(Exception):
    """A setting is wrong; the message is one line that names it."""


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
    """Somebody whose tokens are believed."""

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
    tenant_unlimited: bool = True
    hold_retention_days: Annotated[int, Meta(ge=2, le=3650)] = 30


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


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment. Raises ConfigError."""
    given = os.environ if environment is None else environment
    tree = _read_file(given.get("TRUNKLINE_CONFIG", ""))
    tree = _with_preset(lay_over(tree, _from_environment(given)))
    _add_providers(tree, given)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_in_one_line(error)) from None
    _check(settings)
    return settings


def _read_file(path: str) -> dict[str, Any]:
    file = Path(path or "trunkline.toml")
    if not path and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from None


def _from_environment(given: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in given.items():
        if not name.startswith(PREFIX) or name in ("TRUNKLINE_CONFIG", *CLIENT_NAMES):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{name}: {section!r} is a value and a section at once")
        table[key] = _from_text(name, value)
    return tree


def _from_text(name: str, value: str) -> object:
    """Lists and tables are JSON; everything else is taken as it stands."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        raise ConfigError(f"{name}: looks like JSON, but is not") from None


def _with_preset(tree: dict[str, Any]) -> dict[str, Any]:
    """What the preset says, below all else. Raises ConfigError where there is none of that name."""
    name = tree.get("preset", "")
    if name == "":
        return tree
    if not isinstance(name, str) or name not in presets():
        raise ConfigError(f"preset: there is none of that name; there are {', '.join(presets())}")
    return lay_over(deepcopy(presets()[name].settings), tree)


def _add_providers(tree: dict[str, Any], given: Mapping[str, str]) -> None:
    providers = tree.setdefault("providers", {})
    for provider in NAMES:
        for key in ("api_key", "base_url"):
            value = given.get(f"{provider.upper()}_{key.upper()}", "")
            if value and isinstance(providers, dict):
                providers.setdefault(provider, {}).setdefault(key, value)


def _in_one_line(error: msgspec.ValidationError) -> str:
    """`Expected int - at $.grpc.x` becomes `grpc.x: expected int`; a value never stands in it."""
    what, _, where = str(error).partition(" - at `")
    path = where.rstrip("`").removeprefix("$").lstrip(".")
    if "unknown field" in what:
        unknown = what.rpartition("`")[0].rpartition("`")[2]
        return f"{'.'.join(filter(None, (path, unknown)))}: there is no such setting"
    return f"{path or 'settings'}: {what[:1].lower()}{what[1:]}"


def _check(settings: Settings) -> None:
    _check_needs(settings)
    credits, cache = settings.credits, settings.cache
    amounts = {"credits.default_grant": credits.default_grant, "credits.per_usd": credits.per_usd}
    for key, amount in (amounts | {"cache.hit_price": cache.hit_price}).items():
        try:
            if from_decimal_text(amount) < 0:
                raise ValueError("must not be negative")
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from None
    addresses = {"grpc.address": settings.grpc.address, "http.address": settings.http.address}
    optional = {"grpc.health_address": settings.grpc.health_address, "jobs.http_address": settings.jobs.http_address}
    for key, address in (addresses | {key: given for key, given in optional.items() if given}).items():
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ConfigError(f"{key}: {address!r} is not host:port")
    _check_database_url(settings.database_url)
    _check_redis_url(settings.redis_url)
    _check_otlp_endpoint(settings.telemetry.otlp_endpoint)
    _check_secrets(settings.secrets)
    _check_files(settings.files)
    for tuning in settings.fine_tuning.prices:
        _check_prices("fine_tuning.prices", tuning.model, tuning, tuning.training_price)
    for name, provider in settings.providers.items():
        _check_provider(name, provider)


def _check_needs(settings: Settings) -> None:
    for key in presets()[settings.preset].needs if settings.preset else ():
        if not attrgetter(key)(settings):
            raise ConfigError(f"{key}: is missing, and the preset {settings.preset!r} needs it")


def _check_otlp_endpoint(url: str) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ConfigError("telemetry.otlp_endpoint: is not http://host:port or https://host")


def _check_database_url(url: str) -> None:
    """The url itself is never told: a password may stand in it."""
    try:
        if url and urlsplit(url).scheme not in ("postgresql", "postgres"):
            raise ValueError("another scheme")
    except ValueError:
        raise ConfigError("database_url: is not of the form postgresql://user@host:5432/name") from None


def _check_redis_url(url: str) -> None:
    """The url itself is never told: a password may stand in it."""
    try:
        if url and urlsplit(url).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("another scheme")
    except ValueError:
        raise ConfigError("redis_url: is not of the form redis://host:6379/0") from None


def _check_secrets(secrets: SecretsSection) -> None:
    """The key itself is never told."""
    try:
        lengths = {len(key) for key in secrets.keys.values()}
    except ValueError:
        lengths = {0}
    if lengths - {KEY_BYTES}:
        raise ConfigError(f"secrets.kek: each must be {KEY_BYTES} bytes in base64, such as `openssl rand -base64 32`")


def _check_files(files: FilesSection) -> None:
    if files.store != "bucket":
        return
    for key in ("bucket", "bucket_endpoint", "bucket_access_key", "bucket_secret_key"):
        if not getattr(files, key):
            raise ConfigError(f"files.{key}: is missing, and files.store is 'bucket'")
    if not files.bucket_endpoint.startswith(("http://", "https://")):
        raise ConfigError("files.bucket_endpoint: must begin with http:// or https://")


def _check_provider(name: str, provider: ProviderSection) -> None:
    if provider.base_url and not provider.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"providers.{name}.base_url: must begin with http:// or https://")
    if provider.webhook_keys_uri and not provider.webhook_keys_uri.startswith(("http://", "https://")):
        raise ConfigError(f"providers.{name}.webhook_keys_uri: must begin with http:// or https://")
    if provider.webhook_keys_uri and provider.webhook_secret:
        raise ConfigError(f"providers.{name}: needs webhook_secret or webhook_keys_uri, not both")
    try:
        check_secret(provider.webhook_secret)
    except ValueError:
        raise ConfigError(f"providers.{name}.webhook_secret: is not base64 behind whsec_") from None
    for model in provider.models:
        _check_prices(f"providers.{name}.models", model.name, model)


def _check_prices(key: str, model: str, given: ModelSection | TuningPriceSection, *more: str) -> None:
    if bool(given.input_price) != bool(given.output_price):
        raise ConfigError(f"{key}: {model!r} needs both input_price and output_price, or none")
    for price in filter(None, (given.input_price, given.output_price, *more)):
        try:
            from_decimal_text(price)
        except ValueError as error:
            raise ConfigError(f"{key}: {model!r}: {error}") from None
