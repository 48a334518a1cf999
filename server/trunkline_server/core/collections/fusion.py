"""Several ordered lists as one, by reciprocal rank fusion: places count, scores of different kinds do not meet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

K: Final = 60
"""How little the first places of one list outdo the later ones; the constant of the method's authors."""


def fused(*lists: Sequence[UUID]) -> dict[UUID, float]:
    """Scores by id, the best first; of those with the same score the one that stands in the earlier list."""
    scores: defaultdict[UUID, float] = defaultdict(float)
    for ids in lists:
        for place, each in enumerate(ids):
            scores[each] += 1 / (K + 1 + place)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))
