"""How long half, 95 and 99 of a hundred calls took, told from the one number in which the database counts them.

A time falls into a step of a twelfth of an octave. A call counts as 1 at the decimal digits of its step, of which each
has twelve; so the sum of such numbers tells how many calls took how long, and sums of sums do.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final, NamedTuple

STEPS_OF_OCTAVE: Final = 12
DIGITS_OF_STEP: Final = 12


class Shares(NamedTuple):
    """In milliseconds, true to within 3 percent."""

    p50_ms: int
    p95_ms: int
    p99_ms: int


def shares(steps: str) -> Shares:
    """Of the decimal digits of one call at least."""
    ends = range(len(steps), 0, -DIGITS_OF_STEP)
    upto = list(accumulate(int(steps[max(end - DIGITS_OF_STEP, 0) : end]) for end in ends))
    return Shares(*(_ms(bisect_left(upto, upto[-1] * percent / 100)) for percent in (50, 95, 99)))


def _ms(step: int) -> int:
    return round(2 ** (step / STEPS_OF_OCTAVE))
