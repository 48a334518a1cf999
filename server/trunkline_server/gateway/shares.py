"""What one attempt may take of a call's time: not all of it, while there are other providers to ask."""

from __future__ import annotations

from math import inf
from typing import Final

from trunkline_server.gateway.attempts import MOVE_S_MIN
from trunkline_server.gateway.patience import SETTLE_RESERVE_S

FIRST_WORD_SHARE: Final = 0.5
WHOLE_SHARE: Final = 0.75
"""A whole answer takes long, and is lost with all that it cost when it is broken off, so it may take more."""
NEXT_SHARE_MAX: Final = 0.5
NEXT_S_MIN: Final = 2.0
TIMES_TYPICAL: Final = 2.0


def share_s(remaining_s: float, next_typical_s: float | None, *, streaming: bool) -> float:
    """Until the next candidate is asked; `next_typical_s` is what that one usually takes, where it is known."""
    kept_s = remaining_s * (1 - FIRST_WORD_SHARE) if streaming else _kept_s(remaining_s, next_typical_s or 0.0)
    return remaining_s - kept_s if kept_s > MOVE_S_MIN + SETTLE_RESERVE_S else inf


def _kept_s(remaining_s: float, next_typical_s: float) -> float:
    wanted_s = max(remaining_s * (1 - WHOLE_SHARE), TIMES_TYPICAL * next_typical_s, NEXT_S_MIN)
    return min(wanted_s, remaining_s * NEXT_SHARE_MAX)
