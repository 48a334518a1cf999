"""Points in time, and stretches of it, as the store has them and as messages have them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from trunkline_server.core.errors import invalid


def timestamp(moment: datetime | None) -> Timestamp | None:
    """For a message; a field that is given None stays unset."""
    if moment is None:
        return None
    told = Timestamp()
    told.FromDatetime(moment)
    return told


def duration(seconds: float | None) -> Duration | None:
    """For a message, as above."""
    return None if seconds is None else Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


def moment_of(path: str, told: Timestamp) -> datetime:
    """Of a message, in UTC. Raises VALIDATION for a time that is none."""
    try:
        return told.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise invalid(path, "is no time") from None
