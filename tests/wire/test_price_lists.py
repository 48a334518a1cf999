"""What lists of models tell of prices, each in its own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline_server.core.offered import Offered
from trunkline_server.core.pricing import Tier
from trunkline_server.providers import builtin
from trunkline_server.providers.own import own, telling_prices
from trunkline_server.wire.dialect import Wire

DECLARED = {each.name: each.wire for each in builtin.declarations()}
COMPATIBLE = own("own", "").wire
LONG = {"min_prompt_tokens": 200_000, "prompt": "0.000006", "input_cache_read": "0.0000006", "image": "0.01"}


def offered(wire: Wire, listed: Any) -> list[Offered]:
    return wire.decode_models(json.dumps(listed).encode())


def of_one(wire: Wire, **fields: Any) -> Offered:
    (told,) = offered(wire, {"data": [{"id": "m", **fields}]})
    return told


def test_openrouter_tells_dollars_for_one_token() -> None:
    pricing = {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003", "web_search": "0.01"}
    told = of_one(DECLARED["openrouter"], pricing={**pricing, "image": "0.02", "overrides": [LONG]})
    base = {"input": 3 * 10**9, "output": 15 * 10**9, "cached_input": 3 * 10**8, "searches": 10**13}
    assert told.tiers == (Tier(0, base), Tier(200_000, {**base, "input": 6 * 10**9, "cached_input": 6 * 10**8}))


def test_xai_tells_cents_for_a_hundred_million_tokens() -> None:
    fields = {
        "prompt_text_token_price": 12500,
        "cached_prompt_text_token_price": 2000,
        "prompt_image_token_price": 12500,
        "completion_text_token_price": 25000,
        "long_context_threshold": 200_000,
        "prompt_text_token_price_long_context": 25000,
        "cached_prompt_text_token_price_long_context": 0,
        "completion_text_token_price_long_context": 50000,
    }
    base = {"input": 1_250_000_000, "cached_input": 200_000_000, "output": 2_500_000_000}
    longer = Tier(200_000, {**base, "input": 2_500_000_000, "output": 5_000_000_000})
    assert of_one(DECLARED["xai"], **fields).tiers == (Tier(0, base), longer)
    assert of_one(DECLARED["xai"], **{**fields, "long_context_threshold": 0}).tiers == (Tier(0, base),)
    assert of_one(DECLARED["xai"]).tiers == ()


def test_hugging_face_tells_what_each_host_asks_for_a_million_tokens() -> None:
    hosts = [
        {"provider": "one", "status": "live", "context_length": 9, "pricing": {"input": 0.1, "output": 0.25}},
        {"provider": "two", "status": "live", "pricing": {"input": 0.1, "output": 0.3}},
        {"provider": "old", "status": "staging", "pricing": {"input": 5, "output": 5}},
        {"provider": "mute", "status": "live"},
    ]
    one, two = ((Tier(0, {"input": 100_000_000, "output": output}),) for output in (250_000_000, 300_000_000))
    wire = DECLARED["huggingface"]
    assert offered(wire, {"data": [{"id": "m", "providers": hosts}]}) == [
        Offered("m", "", 9),
        Offered("m:one", "", 9, tiers=one),
        Offered("m:two", tiers=two),
    ]
    assert offered(wire, {"data": [{"id": "m", "providers": hosts[:1]}]})[0] == Offered("m", "", 9, tiers=one)


@pytest.mark.parametrize(
    ("spelled", "fields"),
    [
        ("per_million", {"pricing": {"hourly": 0, "base": 0, "input": 0.88, "output": 1.5}}),
        ("per_million", {"pricing": None, "metadata": {"pricing": {"input_tokens": 0.88, "output_tokens": 1.5}}}),
        ("per_token", {"pricing": {"input": "0.00000088", "output": "0.0000015"}}),
    ],
)
def test_own_servers_tell_them_as_the_settings_say(spelled: str, fields: Any) -> None:
    wire = telling_prices(COMPATIBLE, spelled)
    assert offered(wire, [{"id": "m", **fields}])[0].tiers == (
        Tier(0, {"input": 880_000_000, "output": 1_500_000_000}),
    )
    assert of_one(COMPATIBLE, **fields).tiers == ()


@pytest.mark.parametrize(
    ("pricing", "reason"),
    [
        ({"prompt": "-1", "completion": "-1"}, "input is negative"),
        (
            {"prompt": "1", "overrides": [{**LONG, "utc_start": 1600}]},
            "it depends on more than the length of the input",
        ),
        ({"prompt": "1", "overrides": [{**LONG, "min_prompt_tokens": 2**40}]}, "it begins at no number of tokens"),
        ({"prompt": "1", "overrides": [7]}, "it cannot be read"),
        ("three", "it cannot be read"),
    ],
)
def test_a_price_that_cannot_be_used_costs_no_model(pricing: Any, reason: str) -> None:
    told = of_one(DECLARED["openrouter"], pricing=pricing)
    assert (told.name, told.tiers, told.refused) == ("m", (), reason)
