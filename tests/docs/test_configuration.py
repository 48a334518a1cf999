"""`docs/configuration.md` names every setting, with its true default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.docs.page import bare, page, tables
from trunkline_server import config
from trunkline_server.core.preset import presets
from trunkline_server.providers import builtin
from trunkline_server.providers.sandbox import SANDBOX

PAGE = page("configuration.md")
SETTINGS = tables(PAGE, "key")
OTHER = {
    "data_dir": "elsewhere",
    "database_url": "postgresql:///other",
    "redis_url": "redis://other",
    "log_level": "debug",
    "grpc.address": "127.0.0.1:1",
    "grpc.reflection": "true",
    "http.address": "127.0.0.1:1",
    "http.allowed_origins": '["https://other"]',
    "grpc.health_address": "127.0.0.1:1",
    "tls.certificate_file": "other.pem",
    "tls.key_file": "other.pem",
    "tls.client_ca_file": "other.pem",
    "tls.client_auth": "required",
    "auth.identities": '[{"name": "other", "scopes": []}]',
    "auth.issuers": '[{"issuer": "other", "audience": "us", "jwks_uri": "https://other", "scopes": []}]',
    "auth.pepper": "salt",
    "secrets.kek": '{"1": "' + "A" * 43 + '="}',
    "chat.unknown_price": "free",
    "routing.strategy": "weighted",
    "routing.universal_fallback": "other",
    "routing.chains": '{"other": ["sandbox"]}',
    "routing.weights": '{"other": 2}',
    "routing.hedging": "true",
    "breakers.failure_ratio": "0.25",
    "breakers.slow_ratio": "0.25",
    "dashboard.enabled": "false",
    "credits.default_grant": "7",
    "credits.per_usd": "7",
    "credits.provider_prices": "false",
    "credits.tenant_unlimited": "false",
    "collections.store": "qdrant",
    "collections.qdrant_url": "http://other",
    "collections.qdrant_api_key": "other",
    "collections.weaviate_url": "http://other",
    "collections.weaviate_api_key": "other",
    "collections.pinecone_url": "http://other",
    "collections.pinecone_api_key": "other",
    "collections.pinecone_cloud": "other",
    "collections.pinecone_region": "other",
    "jobs.worker": "false",
    "jobs.queues": '["other"]',
    "jobs.http_address": "127.0.0.1:1",
    "health.disk_free_min": "0.25",
    "health.memory_max": "0.25",
    "health.connections_max": "0.25",
    "files.store": "folder",
    "files.folder": "elsewhere",
    "files.bucket": "other",
    "files.bucket_endpoint": "https://other",
    "files.bucket_region": "other",
    "files.bucket_access_key": "other",
    "files.bucket_secret_key": "other",
    "files.bucket_prefix": "other",
    "cache.hit_price": "7",
    "cache.embedding_model": "other/embed",
    "guard.input_harm": "strict",
    "guard.input_personal_data": "standard",
    "guard.output_harm": "strict",
    "guard.output_personal_data": "standard",
    "guard.action": "refuse",
    "guard.moderation_model": "other",
    "telemetry.metrics": "false",
    "telemetry.otlp_endpoint": "http://other:4318",
    "telemetry.otlp_headers": '{"authorization": "other"}',
    "telemetry.trace_ratio": "0.5",
    "egress.allow_private_hosts": '["other"]',
    "egress.allow_http_hosts": '["other"]',
    "fine_tuning.prices": '[{"model": "other/model", "training_price": "1"}]',
    "tasks.models": '{"default": ["sandbox/json"]}',
    "tasks.piece_tokens": "500",
    "providers": '{"other": {}}',
    "mcp_servers": '{"other": {"command": ["other"]}}',
}
"""Another value than the default, for settings that are no plain number."""


def test_every_setting_stands_there_once_with_its_default() -> None:
    assert [(bare(row[0]), bare(row[2])) for row in SETTINGS] == list(values(config.Settings()))


def test_every_key_of_a_provider_stands_there_with_its_default() -> None:
    rows = tables(PAGE, "key in `[providers.<name>]`")

    assert [(bare(row[0]), bare(row[1])) for row in rows] == list(values(config.ProviderSection()))


def test_every_key_of_a_model_stands_there_with_its_default() -> None:
    rows = tables(PAGE, "key in `[[providers.<name>.models]]`")

    named, *others = [(bare(row[0]), bare(row[1])) for row in rows]
    assert named == ("name", "required")
    assert others == list(values(config.ModelSection(name="any")))[1:]


def test_every_provider_stands_there_in_the_order_that_counts() -> None:
    assert [bare(row[0]) for row in tables(PAGE, "provider")] == [*builtin.NAMES, SANDBOX.name]


@pytest.mark.parametrize("row", tables(PAGE, "provider"), ids=lambda row: bare(row[0]))
def test_the_short_names_configure_the_provider(
    row: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"api_key": row[1], "base_url": row[2]}
    names = {bare(cell): f"https://{key}" for key, cell in given.items() if not cell.startswith("none")}

    settings = config.load(names)

    said = [(name, key, getattr(each, key)) for name, each in settings.providers.items() for key in given]
    assert [value for _, _, value in said if value] == list(names.values())
    assert {name for name, _, _ in said} <= {bare(row[0])}


@pytest.mark.parametrize("row", SETTINGS[1:], ids=lambda row: bare(row[0]))
def test_the_name_in_the_environment_sets_that_setting_and_no_other(
    row: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key, name, default = map(bare, row[:3])

    settings = config.load({name: OTHER.get(key) or str(json.loads(default) + 1)})

    changed = set(values(settings)) - set(values(config.Settings()))
    assert {path for path, _ in changed} == {key}


@pytest.mark.parametrize(("at", "name"), list(enumerate(presets(), start=1)))
def test_what_a_preset_sets_and_needs_stands_there(at: int, name: str) -> None:
    said = {bare(row[0]): bare(row[at]) for row in tables(PAGE, "sets") if row[at] != "-"}

    assert said == told(presets()[name].settings)
    assert all(
        f"`{key}`" in PAGE.partition("- **`production`**")[2].partition("\n- ")[0] for key in presets()[name].needs
    )


def told(settings: dict[str, object], path: str = "") -> dict[str, str]:
    """As the page tells it; providers are told in words."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and key != "providers":
            found |= told(value, f"{path}{key}.")
        elif key != "providers":
            found[f"{path}{key}"] = json.dumps(value)
    return found


def values(section: msgspec.Struct, path: str = "") -> Iterator[tuple[str, str]]:
    """Every key and its value, as the page spells them, in order."""
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, msgspec.Struct):
            yield from values(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", "unset" if value is None else json.dumps(msgspec.to_builtins(value))
