"""From the settings to what is kept out of everybody's calls."""

from __future__ import annotations

from typing import Final

from trunkline.v1 import guard_pb2
from trunkline_server.config import Settings

_LEVELS: Final = {
    "off": guard_pb2.GUARD_LEVEL_UNSPECIFIED,
    "standard": guard_pb2.GUARD_LEVEL_STANDARD,
    "strict": guard_pb2.GUARD_LEVEL_STRICT,
}
_ACTIONS: Final = {
    "mask": guard_pb2.GUARD_ACTION_UNSPECIFIED,
    "redact": guard_pb2.GUARD_ACTION_REDACT,
    "refuse": guard_pb2.GUARD_ACTION_REFUSE,
}


def house_guard(settings: Settings) -> guard_pb2.Guard:
    """What tenants and calls can add to, and not take from."""
    given = settings.guard
    return guard_pb2.Guard(
        input=_rule(given.input_harm, given.input_personal_data, given.action),
        output=_rule(given.output_harm, given.output_personal_data, given.action),
        moderation_model=given.moderation_model,
    )


def _rule(harm: str, personal_data: str, action: str) -> guard_pb2.GuardRule:
    return guard_pb2.GuardRule(harm=_LEVELS[harm], personal_data=_LEVELS[personal_data], action=_ACTIONS[action])
