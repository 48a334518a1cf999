"""Models are found by exact name, prices by day, and a file that is not whole is not used at all."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunkline_server
from trunkline_server.core.catalogue import NAMES_REMEMBERED, Catalogue, CatalogueError, read_entries
from trunkline_server.core.clause import And, Contains, EndsWith, Equals, Or, Regex, StartsWith
from trunkline_server.core.model import ModelEntry, configured_model, digest
from trunkline_server.core.money import NANOS
from trunkline_server.core.pricing import BEGINNING, Price, Tier, most

DATA = Path(trunkline_server.__file__).parent / "data"
FILES = [path.read_bytes() for path in sorted(DATA.glob("*.json"))]
TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return Catalogue.load(FILES)


def entry(provider: str, model: str, **fields: object) -> ModelEntry:
    return msgspec.structs.replace(ModelEntry(provider, model), **fields)


GPT = entry("openai", "gpt-4o", match=Or((Equals("gpt-4o"), StartsWith("gpt-4o-2024"))))
GPT_MINI = entry("openai", "gpt-4o-mini")
LLAMA = entry("openrouter", "meta-llama/llama-3")
ROUTED_GPT = entry("openrouter", "openai/gpt-4o")
GROQ_GPT = entry("groq", "gpt-4o")
LOCAL = configured_model("ollama", None, free=True)
SMALL = Catalogue([GPT, GPT_MINI, LLAMA, ROUTED_GPT, GROQ_GPT])


# Finding.


@pytest.mark.parametrize(
    ("clause", "names"),
    [
        (Equals("gpt"), ["gpt"]),
        (StartsWith("gpt"), ["gpt", "gpt-4"]),
        (EndsWith("gpt"), ["gpt", "my-gpt"]),
        (Contains("gpt"), ["gpt", "gpt-4", "my-gpt"]),
        (Regex(r"^gpt-\d$"), ["gpt-4"]),
        (Or((Equals("gpt"), EndsWith("-gpt"))), ["gpt", "my-gpt"]),
        (And((Contains("gpt"), Regex("^(?!my)"))), ["gpt", "gpt-4"]),
        (Or(()), []),
    ],
)
def test_clauses(clause: Equals, names: list[str]) -> None:
    catalogue = Catalogue([entry("acme", "model", match=clause)])
    assert [name for name in ("gpt", "gpt-4", "my-gpt", "GPT", "claude") if catalogue.find("acme", name)] == names


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o-2024-11-20"])
def test_a_model_has_several_names(name: str) -> None:
    assert SMALL.find("openai", name) is GPT


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        *(("openai", name) for name in ("GPT-4o", " gpt-4o", "gpt-4o ", "gpt-4o\n", "", "gpt-4", "openai/gpt-4o")),
        ("OpenAI", "gpt-4o"),
        ("anthropic", "gpt-4o"),
    ],
)
def test_names_are_compared_exactly(provider: str, model: str) -> None:
    assert SMALL.find(provider, model) is None


def test_a_name_that_is_spelled_out_wins_over_a_pattern() -> None:
    family, member = entry("acme", "family", match=StartsWith("m")), entry("acme", "member")
    catalogue = Catalogue([family, member])
    assert catalogue.find("acme", "member") is member
    assert catalogue.find("acme", "mother") is family


def test_the_operator_wins_over_the_files() -> None:
    cheap = configured_model("openai", "gpt-4o", free=True)
    catalogue = Catalogue([GPT, GPT_MINI], [cheap])
    assert catalogue.find("openai", "gpt-4o") is cheap
    assert catalogue.find("openai", "gpt-4o-mini") is GPT_MINI
    assert [each.name for each in catalogue.listing()] == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert catalogue.listing()[0] is cheap


def test_names_of_callers_are_not_remembered_without_end() -> None:
    catalogue = Catalogue([GPT])
    for number in range(NAMES_REMEMBERED + 100):
        assert catalogue.find("openai", f"nothing-{number}") is None
    assert catalogue.find.cache_info().currsize == NAMES_REMEMBERED  # type: ignore[attr-defined]
    assert catalogue.find("openai", "gpt-4o") is GPT


# Which provider a name means.


@pytest.mark.parametrize(
    ("name", "enabled", "meant"),
    [
        ("openai/gpt-4o", ["openai"], [("openai", "gpt-4o")]),
        ("openai/gpt-4o", ["openrouter"], [("openai", "gpt-4o")]),  # known though not enabled: never sent elsewhere
        ("openai/unheard-of", ["openai"], [("openai", "unheard-of")]),
        ("my-vllm/llama", ["my-vllm"], [("my-vllm", "llama")]),
        ("openrouter/meta-llama/llama-3", ["openrouter"], [("openrouter", "meta-llama/llama-3")]),
        ("openrouter/openai/gpt-4o", ["openai", "openrouter"], [("openrouter", "openai/gpt-4o")]),
        ("meta-llama/llama-3", ["openai", "openrouter"], [("openrouter", "meta-llama/llama-3")]),
        ("gpt-4o", ["openai", "groq"], [("openai", "gpt-4o"), ("groq", "gpt-4o")]),
        ("gpt-4o", ["groq", "openai"], [("groq", "gpt-4o"), ("openai", "gpt-4o")]),
        ("gpt-4o", ["openrouter"], []),
        ("gpt-4o", [], []),
        ("GPT-4o", ["openai"], []),
        ("OpenAI/gpt-4o", ["openai"], []),
        ("openai/", ["openai"], []),
        ("/gpt-4o", ["openai"], []),
        ("", ["openai"], []),
    ],
)
def test_candidates(name: str, enabled: list[str], meant: list[tuple[str, str]]) -> None:
    assert SMALL.candidates(name, enabled) == meant


def test_a_provider_that_takes_every_name_is_meant_where_no_other_is() -> None:
    catalogue = Catalogue([LOCAL, GPT])
    assert catalogue.candidates("gpt-4o", ["ollama", "openai"]) == [("openai", "gpt-4o")]
    assert catalogue.candidates("llama3.2", ["ollama", "openai"]) == [("ollama", "llama3.2")]
    assert catalogue.candidates("ollama/gpt-4o", ["openai"]) == [("ollama", "gpt-4o")]


@given(st.text(max_size=30), st.lists(st.sampled_from(["openai", "groq", "openrouter", "ollama"]), unique=True))
def test_a_candidate_is_always_part_of_the_name(name: str, enabled: list[str]) -> None:
    for provider, model in SMALL.candidates(name, enabled):
        assert name in (model, f"{provider}/{model}")


# Listing.


def test_the_listing_is_ordered_and_leaves_out_what_has_no_name() -> None:
    catalogue = Catalogue([LOCAL, ROUTED_GPT, GPT_MINI, LLAMA, GPT])
    names = ["openai/gpt-4o", "openai/gpt-4o-mini", "openrouter/meta-llama/llama-3", "openrouter/openai/gpt-4o"]
    assert [each.name for each in catalogue.listing()] == names
    assert [each.name for each in catalogue.listing("openai")] == names[:2]
    assert list(catalogue.listing("ollama")) == []


# The operator's models.


def test_a_configured_model_is_priced_or_free_or_unpriced() -> None:
    priced = configured_model("my-vllm", "llama", context_window=8192, max_output_tokens=1024, units={"input": 5})
    free, unpriced = configured_model("my-vllm", "llama", free=True), configured_model("my-vllm", "llama")
    assert (priced.context_window, priced.max_output_tokens, priced.display_name) == (8192, 1024, "llama")
    assert [len(each.prices) for each in (priced, free, unpriced)] == [1, 1, 0]
    assert most(free.prices[0], 10**6, 10**6, NANOS).charge_nanos == 0
    assert priced.prices[0].version != free.prices[0].version
    assert priced.price_on(BEGINNING) is priced.prices[0]


def test_a_model_cannot_be_free_and_have_a_price() -> None:
    with pytest.raises(ValueError, match="my-vllm/llama: a model is free or has a price"):
        configured_model("my-vllm", "llama", units={"input": 5}, free=True)


def test_prices_by_day_and_by_version() -> None:
    old, new = (Price(f"{day}/v", day, (Tier(0, {"input": 1}),)) for day in (BEGINNING, date(2026, 5, 1)))
    model = entry("acme", "model", prices=(old, new))
    assert (model.price_on(date(2026, 4, 30)), model.price_on(date(2026, 5, 1))) == (old, new)
    assert (model.price_version(old.version), model.price_version("gone")) == (old, None)


# Files.

PRICE = b'{"version":"v","effective_from":"2026-01-01","tiers":[[0,{"input":1}]]}'
GOOD = b'[{"provider":"acme","model":"m","prices":[' + PRICE + b"]}]"


@pytest.mark.parametrize(
    ("broken", "wrong"),
    [
        (b"", "truncated"),
        (b"[]", "no models"),
        (b"{}", "Expected `array`"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"x", "trailing"),
        (GOOD.replace(b"acme", b"\xff\xfe"), "utf-8"),
        (GOOD.replace(b'"acme"', b'""'), "length"),
        (GOOD.replace(b'"provider":"acme",', b""), "provider"),
        (GOOD.replace(b"[0,", b"[1,"), "must begin at 0"),
        (GOOD.replace(b":1}", b":1.5}"), "Expected `int`"),
        (GOOD.replace(b":1}", b":-1}"), ">= 0"),
        (GOOD.replace(b":1}", b":1e400}"), "cannot be used"),
        (GOOD.replace(b":1}", b":99999999999999999999}"), "cannot be used"),
        (GOOD.replace(b"2026-01-01", b"2026-02-30"), "Invalid"),
        (GOOD.replace(b'"model"', b'"price":0,"model"'), "unknown field"),
        (GOOD.replace(b'"model"', b'"match":["like","x"],"model"'), "like"),
        (GOOD.replace(b'"model"', b'"match":["regex","("],"model"'), "not a regular expression"),
        (GOOD.replace(b'"model"', b'"match":' + b'["or",[' * 99_999 + b'],"model"'), "cannot be used"),
        (GOOD[:-1] + b"," + GOOD[1:], "'acme/m' is there twice"),
    ],
)
def test_a_broken_file_is_refused_and_says_what_is_wrong(broken: bytes, wrong: str) -> None:
    in_use = Catalogue.load([GOOD])
    with pytest.raises(CatalogueError, match=wrong):
        Catalogue.load([GOOD.replace(b"acme", b"other"), broken])
    assert [each.name for each in in_use.listing()] == ["acme/m"]


def test_prices_that_are_not_in_order_are_refused() -> None:
    row = b'{"version":"v","effective_from":"2025-12-31","tiers":[[0,{}]]}'
    with pytest.raises(CatalogueError, match="not ordered by day"):
        read_entries(GOOD.replace(b"}]}]", b"}," + row + b"]}]"))


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=3))
def test_whatever_the_bytes_there_is_one_kind_of_error(place: int, dirt: bytes) -> None:
    try:
        Catalogue.load([GOOD[:place] + dirt + GOOD[place + 1 :]])
    except CatalogueError as error:
        assert "file of models cannot be used" in str(error)  # noqa: PT017


# What we ship.


def test_every_model_that_is_listed_is_found_by_its_name(bundled: Catalogue) -> None:
    assert [each.name for each in bundled.listing() if bundled.find(each.provider, each.model) is not each] == []


def test_every_price_is_named_after_its_day_and_numbers(bundled: Catalogue) -> None:
    prices = [price for each in bundled.listing() for price in each.prices]
    assert len(prices) > 1000
    assert [each.version for each in prices if each.version != f"{each.effective_from}/{digest(each.tiers)}"] == []


def test_the_providers_we_ship_are_priced(bundled: Catalogue) -> None:
    providers = {each.provider for each in bundled.listing() if each.price_on(TODAY)}
    hosted = {"anthropic", "cohere", "gemini", "groq", "huggingface", "mistral", "openai", "openrouter", "xai"}
    hosted |= {"stability"}
    hosted |= {"elevenlabs"}
    assert providers == hosted | {"sandbox"}
    assert bundled.providers == providers | {"ollama"}


@pytest.mark.parametrize(
    ("provider", "model", "most_output"),
    [
        ("openai", "gpt-4o", 16_384),
        ("openai", "gpt-4o-mini-2024-07-18", 16_384),
        ("openai", "gpt-4", 8_192),
        ("anthropic", "claude-sonnet-4-5-20250929", 64_000),
        ("gemini", "gemini-2.5-flash", 65_536),
        ("sandbox", "echo", 4_096),
    ],
)
def test_models_that_people_call(bundled: Catalogue, provider: str, model: str, most_output: int) -> None:
    found = bundled.find(provider, model)
    assert found is not None
    assert found.max_output_tokens == most_output
    assert found.context_window >= 8_192
    assert found.price_on(TODAY) is not None


def test_the_seed_by_hand(bundled: Catalogue) -> None:
    gpt, sonnet, echo = (
        bundled.find(*name) for name in (("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("sandbox", "echo"))
    )
    assert gpt is not None
    assert sonnet is not None
    assert echo is not None
    price = gpt.prices[0].tiers[0]
    assert (price.rate("input"), price.rate("cached_input"), price.rate("output")) == (
        5 * NANOS // 2,
        5 * NANOS // 4,
        10 * NANOS,
    )
    assert [tier.from_input_tokens for tier in sonnet.prices[0].tiers] == [0, 200_001]
    assert echo.prices[0].tiers == (Tier(0, {"input": NANOS, "output": 2 * NANOS}),)


def test_a_bare_name_goes_to_its_maker_not_to_a_reseller_before_it(bundled: Catalogue) -> None:
    enabled = ["gemini", "ollama", "openrouter", "anthropic", "openai"]
    assert bundled.candidates("claude-sonnet-4-5", enabled) == [("anthropic", "claude-sonnet-4-5")]
    assert bundled.candidates("gpt-4o", enabled) == [("openai", "gpt-4o")]


def test_a_local_model_is_free_whatever_its_name(bundled: Catalogue) -> None:
    local = bundled.find("ollama", "anything:7b")
    assert local is not None
    assert most(local.prices[0], 10**6, 10**6, NANOS).cost_nano_usd == 0


def test_reading_what_we_ship_is_quick() -> None:
    times_s = []
    for _ in range(5):
        begun_s = time.process_time()
        Catalogue.load(FILES)
        times_s.append(time.process_time() - begun_s)
    assert min(times_s) < 0.1  # measured: 0.008
