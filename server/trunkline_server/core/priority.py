"""Who goes first where there is more to do than can be done; numbered as the contract does."""

from __future__ import annotations

from enum import IntEnum

from trunkline_server.core.errors import invalid


class Priority(IntEnum):
    """From what may wait to what everything else hangs on."""

    SHEDDABLE = 1
    BATCH = 2
    INTERACTIVE = 3
    CRITICAL = 4


def at_most(own: Priority, wanted: str) -> Priority:
    """What a call wants by name, and no more than its key has. Raises VALIDATION."""
    if not wanted:
        return own
    try:
        return min(own, Priority[wanted.upper()])
    except KeyError:
        names = ", ".join(priority.name.lower() for priority in Priority)
        raise invalid("x-trunkline-priority", f"must be one of {names}") from None
