"""What the models of this dialect can be told: the facts that a name stands for, newest rule first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The defaults are those of the oldest models, and of other servers that speak the dialect.

    `adaptive`: thinks as much as it finds right, steered by an effort instead of a budget; takes no sampling values.
    `always_thinks`: thinking cannot be switched off, and a tool cannot be forced.
    `one_sampling`: takes temperature or top_p, not both.
    """

    adaptive: bool = False
    always_thinks: bool = False
    one_sampling: bool = False


RULES: Final = (
    (re.compile(r"claude-(fable|mythos)"), ModelFacts(adaptive=True, always_thinks=True)),
    (re.compile(r"claude-[a-z]+-(4-([7-9]|\d\d)|[5-9]|\d\d)(?!\d)"), ModelFacts(adaptive=True)),
    (re.compile(r"claude-[a-z]+-4-[1-6](?!\d)"), ModelFacts(one_sampling=True)),
)
_OLDEST: Final = ModelFacts()


def facts_of(model: str, rules: Sequence[tuple[re.Pattern[str], ModelFacts]] = RULES) -> ModelFacts:
    """The facts of a model; the first rule that matches its name counts."""
    return next((facts for name, facts in rules if name.search(model)), _OLDEST)
