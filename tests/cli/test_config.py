from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Typed
from trunkline import channels
from trunkline_server import config
from trunkline_server.cli import gateway
from trunkline_server.config import Settings
from trunkline_server.config.sections import McpServerSection
from trunkline_server.core.preset import presets
from trunkline_server.providers import builtin

SECRET = "tell-nobody"
ROOT = Path(__file__).parents[2]


def _shown(text: str) -> dict[str, object]:
    return {name: json.loads(value) for name, _, value in (line.partition(" = ") for line in text.splitlines())}


def test_shows_what_is_in_effect(typed: Typed, quiet_place: Path) -> None:
    (quiet_place / "trunkline.toml").write_text("[chat]\nattempts_max = 2\n[providers.own]\nbase_url = 'http://h/v1'\n")
    result = typed("config", "check", given={"TRUNKLINE_CREDITS__PER_USD": "20"})
    shown = _shown(result.stdout)
    assert result.exit_code == 0
    assert shown["chat.attempts_max"] == 2
    assert shown["credits.per_usd"] == "20"
    assert shown["grpc.address"] == Settings().grpc.address
    assert shown["providers.own.base_url"] == "http://h/v1"


def test_shows_every_setting(typed: Typed) -> None:
    shown = _shown(typed("config", "check").stdout)
    sections = {name.split(".")[0] for name in shown}
    assert sections == set(Settings.__struct_fields__)


def test_masks_what_is_secret(typed: Typed, quiet_place: Path) -> None:
    own = [f"base_url = 'https://joe:{SECRET}@h:8/v1?key={SECRET}'"]
    own += [f"webhook_keys_uri = 'https://joe:{SECRET}@h/keys'"]
    own += [f"{table} = {{ x-key = '{SECRET}' }}" for table in ("headers", "query")]
    own += ["[telemetry]", f"otlp_endpoint = 'http://joe:{SECRET}@h:4318'", f"otlp_headers = {{ x-key = '{SECRET}' }}"]
    own += ["[mcp_servers.own]", "command = ['serve']", f"environment = {{ KEY = '{SECRET}' }}"]
    own += ["[[auth.issuers]]", "issuer = 'https://i/'", "audience = 'a'", "scopes = ['chat:*']"]
    own += [f"jwks_uri = 'https://joe:{SECRET}@i/keys'"]
    (quiet_place / "trunkline.toml").write_text("\n".join(["[providers.own]", *own]))
    given = {
        "TRUNKLINE_DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
        "TRUNKLINE_REDIS_URL": f"redis://:{SECRET}@h",
        "TRUNKLINE_AUTH__PEPPER": SECRET,
        "OPENAI_API_KEY": SECRET,
    }
    result = typed("config", "check", given=given)
    assert SECRET not in result.output
    assert _shown(result.stdout)["providers.own.base_url"] == "https://***@h:8/v1?***"
    assert _shown(result.stdout)["providers.openai.api_key"] == "***"
    assert _shown(result.stdout)["telemetry.otlp_endpoint"] == "http://***@h:4318"


def test_every_word_that_could_be_secret_is_masked_or_known_to_be_harmless(typed: Typed) -> None:
    """A new setting with a secret must be masked: whoever adds a text setting decides here."""
    harmless = {
        "preset",
        "data_dir",
        "log_level",
        "grpc.address",
        "http.address",
        "credits.default_grant",
        "credits.per_usd",
    }
    harmless |= {"chat.unknown_price", "providers.own.base_url", "providers.own.key_header", "providers.own.wire"}
    harmless |= {"providers.own.webhook_keys_uri", "providers.own.price_list"}
    harmless |= {"routing.strategy", "routing.universal_fallback", "cache.hit_price", "cache.embedding_model"}
    harmless |= {"guard.input_harm", "guard.input_personal_data", "guard.output_harm", "guard.output_personal_data"}
    harmless |= {"guard.action", "guard.moderation_model", "jobs.http_address", "tasks.models", "routing.chains"}
    harmless |= {"routing.weights"}
    harmless |= {f"files.{name}" for name in ("store", "folder", "bucket", "bucket_endpoint", "bucket_region")}
    harmless |= {"files.bucket_prefix"}
    harmless |= {"collections.store", "grpc.health_address", "telemetry.otlp_endpoint"}
    harmless |= {f"collections.{name}" for name in ("qdrant_url", "weaviate_url", "pinecone_url")}
    harmless |= {"collections.pinecone_cloud", "collections.pinecone_region"}
    harmless |= {f"tls.{name}" for name in ("certificate_file", "key_file", "client_ca_file", "client_auth")}
    own = config.ProviderSection(
        base_url="http://h",
        wire="openai",
        api_key=SECRET,
        headers={"a": SECRET},
        query={"a": SECRET},
        webhook_secret=SECRET,
    )
    servers = {"own": McpServerSection(command=("serve",))}
    told = msgspec.to_builtins(Settings(providers={"own": own}, mcp_servers=servers))
    given = {"TRUNKLINE_PROVIDERS__OWN__API_KEY": SECRET, "TRUNKLINE_PROVIDERS__OWN__BASE_URL": "http://h"}
    given["TRUNKLINE_PROVIDERS__OWN__WEBHOOK_SECRET"] = SECRET
    masked = {"database_url", "redis_url", "auth.pepper", "providers.own.api_key", "providers.own.headers.a"}
    masked |= {"providers.own.query.a", "providers.own.webhook_secret"}
    masked |= {"files.bucket_access_key", "files.bucket_secret_key"}
    masked |= {f"collections.{name}_api_key" for name in ("qdrant", "weaviate", "pinecone")}
    masked |= {"secrets.kek", "telemetry.otlp_headers", "mcp_servers.own.environment"}
    assert _texts(told) == harmless | masked
    assert SECRET not in typed("config", "check", given=given).output


def _texts(tree: dict[str, object], path: str = "") -> set[str]:
    """The names of what is a text, or a table for words that nobody knows beforehand."""
    found = set()
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= _texts(value, f"{path}{key}.")
        elif isinstance(value, str | dict):
            found.add(f"{path}{key}")
    return found


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("TRUNKLINE_GRPC__ADRESS", "x", "grpc.adress"),
        ("TRUNKLINE_GRPC__ADDRESS", "nowhere", "grpc.address"),
        ("TRUNKLINE_GRPC__ADDRESS", "here:\N{SUPERSCRIPT TWO}", "grpc.address"),
        ("TRUNKLINE_TELEMETRY__OTLP_ENDPOINT", "http://[", "telemetry.otlp_endpoint"),
        ("TRUNKLINE_CHAT__ATTEMPTS_MAX", "many", "chat.attempts_max"),
        ("TRUNKLINE_CREDITS__PER_USD", "1,5", "credits.per_usd"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(typed: Typed, name: str, value: str, key: str) -> None:
    for command in (("config", "check"), ("serve",), ("migrate",), ("chat", "hi")):
        result = typed(*command, given={name: value})
        assert result.exit_code == 2, command
        assert result.stdout == ""
        assert result.stderr.startswith(f"trunkline: {key}: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("key", ["bucket", "bucket_endpoint", "bucket_access_key", "bucket_secret_key"])
def test_a_bucket_is_described_whole(key: str) -> None:
    given = {"BUCKET": "b", "BUCKET_ENDPOINT": "https://b", "BUCKET_ACCESS_KEY": SECRET, "BUCKET_SECRET_KEY": SECRET}
    told = {f"TRUNKLINE_FILES__{name}": value for name, value in given.items() if name != key.upper()}
    with pytest.raises(config.ConfigError, match=rf"files\.{key}: is missing") as caught:
        config.load({"TRUNKLINE_FILES__STORE": "bucket", **told})
    assert SECRET not in str(caught.value)


def test_a_bucket_has_a_scheme() -> None:
    given = {
        "STORE": "bucket",
        "BUCKET": "b",
        "BUCKET_ENDPOINT": "b",
        "BUCKET_ACCESS_KEY": "k",
        "BUCKET_SECRET_KEY": "k",
    }
    with pytest.raises(config.ConfigError, match=r"files\.bucket_endpoint: must begin with"):
        config.load({f"TRUNKLINE_FILES__{name}": value for name, value in given.items()})


def test_what_clients_read_is_no_setting() -> None:
    sources = [Path(channels.__file__), Path(gateway.__file__), *ROOT.glob("clients/*/README.md")]
    read = {name for each in sources for name in re.findall(r"TRUNKLINE_[A-Z_]+", each.read_text("utf-8"))}

    assert read == set(config.CLIENT_NAMES)
    config.load(dict.fromkeys(read, "x"))


NEEDED = {
    "TRUNKLINE_DATABASE_URL": "postgresql:///there",
    "TRUNKLINE_AUTH__PEPPER": SECRET,
    "TRUNKLINE_SECRETS__KEK": '{"1": "' + "A" * 43 + '="}',
}


def test_a_preset_sets_what_nobody_else_does(typed: Typed, quiet_place: Path) -> None:
    (quiet_place / "trunkline.toml").write_text("preset = 'confidential'\n[jobs]\nkeep_days = 3\n")
    result = typed("config", "check", given=NEEDED | {"TRUNKLINE_CREDITS__DEFAULT_GRANT": "5"})
    shown = _shown(result.stdout)
    assert shown["preset"] == "confidential"
    assert (shown["grpc.address"], shown["providers.sandbox.enabled"]) == ("0.0.0.0:50051", False)
    assert (shown["guard.input_personal_data"], shown["events.keep_days"]) == ("standard", 1)
    assert (shown["jobs.keep_days"], shown["credits.default_grant"]) == (3, "5")


@pytest.mark.parametrize("name", ["production", "confidential"])
@pytest.mark.parametrize(
    ("lacking", "key"), list(zip(NEEDED, ("database_url", "auth.pepper", "secrets.kek"), strict=True))
)
def test_a_preset_says_what_it_needs(typed: Typed, name: str, lacking: str, key: str) -> None:
    given = {each: value for each, value in NEEDED.items() if each != lacking} | {"TRUNKLINE_PRESET": name}
    result = typed("serve", given=given)
    assert result.exit_code == 2
    assert result.stderr == f"trunkline: {key}: is missing, and the preset {name!r} needs it\n"


def test_a_list_of_prices_is_told_of_servers_that_have_one() -> None:
    given = {"TRUNKLINE_PROVIDERS__OWN__PRICE_LIST": "per_token"}
    assert config.load(given).provider_settings["own"].price_list == "per_token"
    with pytest.raises(config.ConfigError, match=r"^providers\.own\.price_list: is for lists of models as OpenAI"):
        config.load({**given, "TRUNKLINE_PROVIDERS__OWN__WIRE": "gemini"})


@pytest.mark.parametrize("value", ["Production", '["test"]', '{"a": 1}'])
def test_a_preset_that_there_is_not(value: str) -> None:
    with pytest.raises(config.ConfigError, match=r"^preset: there is none of that name; there are development, test, "):
        config.load({"TRUNKLINE_PRESET": value})


def test_in_tests_of_others_there_is_the_sandbox_alone() -> None:
    for _ in range(2):
        settings = config.load({"TRUNKLINE_PRESET": "test", "OPENAI_API_KEY": SECRET})
        assert {name for name, each in settings.providers.items() if not each.enabled} == set(builtin.NAMES)
        assert settings.providers["openai"].api_key == SECRET
    assert not config.load({"TRUNKLINE_PRESET": "test"}).providers["openai"].api_key


def test_every_preset_is_told_and_can_be_taken(typed: Typed) -> None:
    assert [config.load(NEEDED | {"TRUNKLINE_PRESET": name}).preset for name in presets()] == list(presets())
    told = typed("config", "presets").stdout
    assert [line.partition(":")[0] for line in told.splitlines() if not line.startswith(" ")] == list(presets())
    assert "\n  auth.pepper must be set\n" in told
    assert '\n  http.address = "0.0.0.0:8080"\n' in told


def test_a_beginning_has_secrets_that_only_its_owner_reads(typed: Typed, quiet_place: Path) -> None:
    assert typed("config", "init", "--preset", "production").exit_code == 0
    file = quiet_place / "trunkline.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert typed("config", "check").stderr.startswith("trunkline: database_url: is missing")

    settings = config.load({"TRUNKLINE_DATABASE_URL": "postgresql:///there"})
    assert len(settings.auth.pepper) >= 32
    assert [len(key) for key in settings.secrets.keys.values()] == [32]

    written = file.read_text()
    again = typed("config", "init")
    assert (again.exit_code, file.read_text()) == (1, written)
    assert again.stderr == "trunkline: trunkline.toml: cannot be made (file exists)\n"


def test_a_beginning_without_secrets_serves_as_it_is(typed: Typed, quiet_place: Path) -> None:
    given = {"TRUNKLINE_CONFIG": str(quiet_place / "own.toml")}
    assert typed("config", "init", given=given).exit_code == 0
    assert config.load(given).log_level == "debug"
