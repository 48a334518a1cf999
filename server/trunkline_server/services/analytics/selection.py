"""Which calls are meant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from trunkline.v1 import analytics_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.moment import moment_of
from trunkline_server.core.text import readable
from trunkline_server.store.usage_sums import Selection, Span

DAYS_DEFAULT: Final = 30

_COLUMNS: Final[Mapping[analytics_pb2.Dimension.ValueType, tuple[str, ...]]] = {
    analytics_pb2.DIMENSION_DAY: ("day",),
    analytics_pb2.DIMENSION_HOUR: ("hour",),
    analytics_pb2.DIMENSION_USER: ("user_id",),
    analytics_pb2.DIMENSION_PROVIDER: ("provider",),
    analytics_pb2.DIMENSION_MODEL: ("provider", "model"),
    analytics_pb2.DIMENSION_OPERATION: ("operation",),
    analytics_pb2.DIMENSION_KEY: ("key_id",),
    analytics_pb2.DIMENSION_LABEL: ("label",),
}


def selected(call: Call, asked: analytics_pb2.CallSelection, now: datetime, *, paced: bool = False) -> Selection:
    """Raises VALIDATION."""
    fields = ("user_id", "provider", "model", "operation", "label")
    texts = {name: readable(f"selection.{name}", getattr(asked, name)) for name in fields}
    for key, value in asked.labels.items():
        readable("selection.labels", key + value)
    if analytics_pb2.DIMENSION_LABEL in asked.group_by and not asked.label:
        raise invalid("selection.label", "is needed to tell calls apart by a label")
    by = dict.fromkeys(column for dimension in asked.group_by for column in _COLUMNS[dimension])
    if "hour" in by:  # which says the day as well
        by.pop("day", None)
    return Selection(
        call.caller.tenant_id, _span(asked, now), **texts, by=tuple(by), labels=dict(asked.labels), paced=paced
    )


def _span(asked: analytics_pb2.CallSelection, now: datetime) -> Span:
    end = moment_of("selection.end_time", asked.end_time) if asked.HasField("end_time") else now
    if asked.HasField("start_time"):
        start = moment_of("selection.start_time", asked.start_time)
    else:
        start = end - timedelta(days=DAYS_DEFAULT) if end.year > 1 else end
    if start > end:
        raise invalid("selection.start_time", "is after the end")
    return Span(start, end)
