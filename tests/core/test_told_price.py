"""Prices as lists tell them: exact to the last digit, and refused where nobody could mean them."""

from __future__ import annotations

import pytest

from trunkline_server.core.pricing import Tier
from trunkline_server.core.told_price import ImplausibleError, tiers_of

PER_TOKEN = 15


@pytest.mark.parametrize(
    ("figure", "scale", "nanos"),
    [
        ('"0.0000003"', PER_TOKEN, 300_000_000),
        ("3e-07", PER_TOKEN, 300_000_000),
        ("0.0000003000000001", PER_TOKEN, 300_000_001),
        ("0.1", 9, 100_000_000),
        ('"10000"', 9, 10_000 * 10**9),
        ("12500", 5, 1_250_000_000),
    ],
)
def test_figures_are_read_to_the_last_digit(figure: str, scale: int, nanos: int) -> None:
    assert tiers_of("a", {0: {"input": figure}}, scale) == (Tier(0, {"input": nanos}),)


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"input": '"-1"', "output": '"-1"'}, "input is negative"),
        ({"input": '"NaN"'}, "input is not a number"),
        ({"input": "Infinity"}, "input is not a number"),
        ({"input": "1e400"}, "input is not a number"),
        ({"input": "{}"}, "input is not a number"),
        ({"input": '"0.0100001"'}, "input is too dear to be true"),
        ({"input": "1E-99"}, "input is too cheap to be true"),
        ({"input": '"0.000001"', "request": '"10.1"'}, "request is too dear to be true"),
        ({"input": '"0"', "output": "0.0"}, "the input costs nothing"),
        ({"output": '"0.000001"'}, "the input costs nothing"),
    ],
)
def test_what_nobody_can_mean_is_refused(figures: dict[str, str], reason: str) -> None:
    with pytest.raises(ImplausibleError, match=reason):
        tiers_of("a/b", {0: figures}, PER_TOKEN)


def test_a_zero_is_a_silence_unless_the_name_says_free() -> None:
    told = {0: {"input": '"0.000001"', "cached_input": '"0"', "request": "0"}}
    assert tiers_of("a", told, PER_TOKEN) == (Tier(0, {"input": 1_000_000_000}),)
    zeros = {0: {"input": '"0"', "output": '"0"'}}
    assert tiers_of("a:free", zeros, PER_TOKEN) == (Tier(0, {"input": 0, "output": 0}),)
    assert tiers_of("a", {0: {}}, PER_TOKEN) == ()


def test_long_inputs_cost_what_shorter_ones_do_where_nothing_else_is_told() -> None:
    told = {0: {"input": "1", "output": "2"}, 200_000: {"input": "3", "output": "0"}, 500_000: {"input": "0"}}
    assert tiers_of("a", told, 9) == (
        Tier(0, {"input": 10**9, "output": 2 * 10**9}),
        Tier(200_000, {"input": 3 * 10**9, "output": 2 * 10**9}),
    )
