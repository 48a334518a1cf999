"""From what tenants and calls say to what is looked for. The stricter word counts, field by field."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import re2

from trunkline.v1 import guard_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.core.guard import harm
from trunkline_server.core.guard.finders import OpenFinder
from trunkline_server.core.guard.span import Finder

_HARMS: Final = {guard_pb2.GUARD_LEVEL_STANDARD: harm.STANDARD, guard_pb2.GUARD_LEVEL_STRICT: harm.STRICT}


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked for in one direction; `harms` are the kinds that nobody may see."""

    finders: Sequence[Finder]
    harms: frozenset[str]
    action: guard_pb2.GuardAction.ValueType
    judges: bool
    """Harm is looked for, so a moderation model may be asked too."""


@dataclass(frozen=True, slots=True)
class Armed:
    """A guard that is on. `digest` tells it from others; `is_standing`: the tenant names the moderation model."""

    question: Watch | None
    answer: Watch | None
    moderation_model: str
    is_standing: bool
    digest: bytes

    @property
    def judges_question(self) -> bool:
        """A moderation model is asked about the question."""
        return bool(self.moderation_model) and self.question is not None and self.question.judges

    @property
    def judges_answer(self) -> bool:
        """A moderation model is asked about the answer."""
        return bool(self.moderation_model) and self.answer is not None and self.answer.judges


class Standing:
    """What a tenant keeps out of all its calls, ready for use. Raises VALIDATION for a pattern that cannot be used.

    `installed` finds personal data that only others know how to find.
    """

    __slots__ = ("_harms", "_personal", "armed", "policy")

    def __init__(self, policy: guard_pb2.GuardPolicy, installed: Sequence[Finder] = ()) -> None:
        self.policy = policy
        found = [(each.is_harm, _own(each, place)) for place, each in enumerate(policy.patterns)]
        self._harms = tuple(finder for is_harm, finder in found if is_harm)
        self._personal = (*installed, *(finder for is_harm, finder in found if not is_harm))
        self.armed = self._arm(policy.guard)

    def with_own(self, guard: guard_pb2.Guard) -> Armed | None:
        """For a call that brings a guard of its own."""
        return self._arm(stricter(self.policy.guard, guard))

    def _arm(self, guard: guard_pb2.Guard) -> Armed | None:
        question, answer = self._watch(guard.input), self._watch(guard.output)
        if question is None and answer is None:
            return None
        told = guard_pb2.GuardPolicy(guard=guard, patterns=self.policy.patterns)
        digest = hashlib.sha256(told.SerializeToString(deterministic=True)).digest()
        return Armed(question, answer, guard.moderation_model, bool(self.policy.guard.moderation_model), digest)

    def _watch(self, rule: guard_pb2.GuardRule) -> Watch | None:
        harms, found = _HARMS.get(rule.harm), _private(rule.personal_data)
        if harms is None and found is None:
            return None
        harmful = (*harms, *self._harms) if harms is not None else ()
        private = (*found, *self._personal) if found is not None else ()
        kinds = frozenset(finder.kind for finder in harmful)
        action = rule.action or guard_pb2.GUARD_ACTION_MASK
        return Watch((*harmful, *private), kinds, action, judges=harms is not None)


def _private(level: guard_pb2.GuardLevel.ValueType) -> Sequence[Finder] | None:
    if level < guard_pb2.GUARD_LEVEL_STANDARD:
        return None
    from trunkline_server.core.guard import personal  # noqa: PLC0415 - 16 MB of telephony, for those who guard

    return personal.STRICT if level == guard_pb2.GUARD_LEVEL_STRICT else personal.STANDARD


def stricter(standing: guard_pb2.Guard, own: guard_pb2.Guard) -> guard_pb2.Guard:
    """The levels and actions of the contract grow stricter with their numbers."""
    return guard_pb2.Guard(
        input=_stricter_rule(standing.input, own.input),
        output=_stricter_rule(standing.output, own.output),
        moderation_model=standing.moderation_model or own.moderation_model,
    )


def _stricter_rule(standing: guard_pb2.GuardRule, own: guard_pb2.GuardRule) -> guard_pb2.GuardRule:
    return guard_pb2.GuardRule(
        harm=max(standing.harm, own.harm),
        personal_data=max(standing.personal_data, own.personal_data),
        action=max(standing.action, own.action),
    )


def check(policy: guard_pb2.GuardPolicy) -> None:
    """Raises VALIDATION, with the path of the field in a request to set it."""
    names = [each.name for each in policy.patterns]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise invalid(f"policy.patterns[{place}].name", "is the name of a pattern before it")
    Standing(policy)


def _own(pattern: guard_pb2.GuardPattern, place: int) -> OpenFinder:
    try:
        return OpenFinder(pattern.name, pattern.pattern)
    except re2.error:
        path = f"policy.patterns[{place}].pattern"
        raise invalid(path, "is not a regular expression of RE2, or too large a one") from None
