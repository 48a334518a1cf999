"""What a type cannot say of a setting: amounts, addresses, keys, and what belongs together. Secrets are never told."""

from __future__ import annotations

from operator import attrgetter
from urllib.parse import urlsplit

from trunkline_server.config.sections import (
    FilesSection,
    ModelSection,
    ProviderSection,
    SecretsSection,
    Settings,
    TuningPriceSection,
)
from trunkline_server.core.inbound_webhook import check_secret
from trunkline_server.core.money import from_decimal_text
from trunkline_server.core.preset import presets
from trunkline_server.core.sealing import KEY_BYTES


class ConfigError(Exception):
    """A setting is wrong; the message is one line that names it."""


def check(settings: Settings) -> None:
    """Raises ConfigError for the first setting that is wrong."""
    _check_needs(settings)
    _check_amounts(settings)
    _check_addresses(settings)
    _check_url("database_url", settings.database_url, ("postgresql", "postgres"), "postgresql://user@host:5432/name")
    _check_url("redis_url", settings.redis_url, ("redis", "rediss", "unix"), "redis://host:6379/0")
    _check_otlp_endpoint(settings.telemetry.otlp_endpoint)
    _check_secrets(settings.secrets)
    _check_files(settings.files)
    for tuning in settings.fine_tuning.prices:
        _check_prices("fine_tuning.prices", tuning.model, tuning, tuning.training_price)
    for name, provider in settings.providers.items():
        _check_provider(f"providers.{name}", provider)


def _check_needs(settings: Settings) -> None:
    for key in presets()[settings.preset].needs if settings.preset else ():
        if not attrgetter(key)(settings):
            raise ConfigError(f"{key}: is missing, and the preset {settings.preset!r} needs it")


def _check_amounts(settings: Settings) -> None:
    for key in ("credits.default_grant", "credits.per_usd", "cache.hit_price"):
        if _decimal(key, attrgetter(key)(settings)) < 0:
            raise ConfigError(f"{key}: must not be negative")


def _decimal(key: str, text: str) -> int:
    try:
        return from_decimal_text(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def _check_addresses(settings: Settings) -> None:
    for key in ("grpc.address", "http.address", "grpc.health_address", "jobs.http_address"):
        address: str = attrgetter(key)(settings)
        if not _is_address(address) and (address or key in ("grpc.address", "http.address")):
            raise ConfigError(f"{key}: {address!r} is not host:port")


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and int(port) <= 65535


def _check_url(key: str, url: str, schemes: tuple[str, ...], form: str) -> None:
    """The url itself is never told: a password may stand in it."""
    if url and _scheme(url) not in schemes:
        raise ConfigError(f"{key}: is not of the form {form}")


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _check_otlp_endpoint(url: str) -> None:
    if url and (_scheme(url) not in ("http", "https") or not urlsplit(url).hostname):
        raise ConfigError("telemetry.otlp_endpoint: is not http://host:port or https://host")


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
    _check_web("files.bucket_endpoint", files.bucket_endpoint)


def _check_web(key: str, url: str) -> None:
    if url and not url.startswith(("http://", "https://")):
        raise ConfigError(f"{key}: must begin with http:// or https://")


def _check_provider(key: str, provider: ProviderSection) -> None:
    _check_web(f"{key}.base_url", provider.base_url)
    _check_web(f"{key}.webhook_keys_uri", provider.webhook_keys_uri)
    if provider.webhook_keys_uri and provider.webhook_secret:
        raise ConfigError(f"{key}: needs webhook_secret or webhook_keys_uri, not both")
    if provider.price_list and provider.wire not in (None, "openai", "azure"):
        raise ConfigError(f"{key}.price_list: is for lists of models as OpenAI writes them")
    try:
        check_secret(provider.webhook_secret)
    except ValueError:
        raise ConfigError(f"{key}.webhook_secret: is not base64 behind whsec_") from None
    for model in provider.models:
        _check_prices(f"{key}.models", model.name, model)


def _check_prices(key: str, model: str, given: ModelSection | TuningPriceSection, *more: str) -> None:
    if bool(given.input_price) != bool(given.output_price):
        raise ConfigError(f"{key}: {model!r} needs both input_price and output_price, or none")
    for price in filter(None, (given.input_price, given.output_price, *more)):
        _decimal(f"{key}: {model!r}", price)
