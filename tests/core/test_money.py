"""Money is whole billionths, and text that is not plainly a decimal number is no money."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core import money

amounts = st.integers(-money.INT64_MAX, money.INT64_MAX)


@given(amounts)
def test_an_amount_survives_being_written_and_read(nanos: int) -> None:
    assert money.from_decimal_text(money.to_decimal_text(nanos)) == nanos


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("-0", 0),
        ("12.5", 12_500_000_000),
        ("-12.5", -12_500_000_000),
        ("0.000000001", 1),
        ("007", 7_000_000_000),
        ("9223372036.854775807", money.INT64_MAX),
        ("-9223372036.854775807", -money.INT64_MAX),
    ],
)
def test_decimal_text(text: str, nanos: int) -> None:
    assert money.from_decimal_text(text) == nanos


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", ".", "1.", ".5", "+1", "--1", "1e3", "1,5", " 1", "1\n", "1_000", "NaN", "Infinity", "1.-5"),
        *("0.0000000001", "9223372036.854775808", "99999999999999999999", "9" * 5000, "1.٣", "٣", "½"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal number|too large"):
        money.from_decimal_text(text)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0"), (1, "0.000000001"), (-1, "-0.000000001"), (1_500_000_000, "1.5"), (-2_000_000_000, "-2")],
)
def test_amounts_as_people_read_them(nanos: int, text: str) -> None:
    assert money.to_decimal_text(nanos) == text


@given(st.integers(0, 10**40), st.integers(1, 10**20))
def test_division_rounds_up_by_less_than_one(amount: int, divisor: int) -> None:
    rounded = money.ceil_div(amount, divisor)
    assert rounded * divisor >= amount > (rounded - 1) * divisor


@given(amounts)
def test_amounts_keep_their_unit(nanos: int) -> None:
    assert (money.credits(nanos).unit, money.credits(nanos).nanos) == ("CREDIT", nanos)
    assert (money.usd(nanos).unit, money.usd(nanos).nanos) == ("USD", nanos)
