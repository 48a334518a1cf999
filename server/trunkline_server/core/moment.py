"""Points in time, as the store has them and as messages have them."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(moment: datetime | None) -> Timestamp | None:
    """For a message; a field that is given None stays unset."""
    if moment is None:
        return None
    told = Timestamp()
    told.FromDatetime(moment)
    return told
