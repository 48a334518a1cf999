"""Where a caller is in a stream, as one word: the id of the completion, and the number of the last event."""

from __future__ import annotations

from uuid import UUID

from trunkline_server.core import ids

_DIGITS_MAX = 18


def spell(completion_id: UUID, sequence: int) -> str:
    """`cmpl_018f....7`."""
    return f"{ids.spell('cmpl', completion_id)}.{sequence}"


def parse(text: str) -> tuple[UUID, int] | None:
    """None for anything else."""
    name, _, digits = text.partition(".")
    completion_id = ids.parse("cmpl", name)
    if completion_id is None or not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        return None
    return completion_id, int(digits)
