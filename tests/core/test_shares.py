"""How long calls took, from the number in which they are counted."""

from __future__ import annotations

import math
import random

import pytest

from trunkline_server.core.shares import Shares, shares


def counted(*times_ms: int) -> str:
    """As the database sums them."""
    return str(sum(10 ** (12 * round(12 * math.log2(max(ms, 1)))) for ms in times_ms))


@pytest.mark.parametrize(
    ("times_ms", "told"),
    [
        ([0], Shares(1, 1, 1)),
        ([2**24], Shares(2**24, 2**24, 2**24)),
        ([64] * 95 + [1024] * 4 + [4096], Shares(64, 64, 1024)),
        ([64] * 94 + [1024] * 4 + [4096] * 2, Shares(64, 1024, 4096)),
        ([1, 1024], Shares(1, 1024, 1024)),
    ],
)
def test_shares(times_ms: list[int], told: Shares) -> None:
    assert shares(counted(*times_ms)) == told


def test_they_are_true_to_within_three_percent() -> None:
    times_ms = sorted(random.Random(4).randint(50, 90_000) for _ in range(1001))
    told = shares(counted(*times_ms))
    for ms, place in zip(told, (500, 950, 990), strict=True):
        assert ms == pytest.approx(times_ms[place], rel=0.03)
