"""Spans of time as they are typed: `90s`, `15m`, `24h`, `30d`."""

from __future__ import annotations

import re
from datetime import timedelta

import click
from google.protobuf import duration_pb2

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN_MAX_S = 36_500 * 86_400


class Duration(click.ParamType[timedelta]):
    """A whole number and its unit; at most a hundred years."""

    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        typed = re.fullmatch(r"([0-9]{1,10})([smhd])", value)
        span_s = int(typed[1]) * _UNITS_S[typed[2]] if typed else None
        if span_s is None or span_s > _SPAN_MAX_S:
            self.fail(f"{value!r} is not a duration like 90s, 15m, 24h or 30d", param, ctx)
        return timedelta(seconds=span_s)


def told(span: timedelta | None) -> duration_pb2.Duration | None:
    """As the contract spells it."""
    return None if span is None else duration_pb2.Duration(seconds=int(span.total_seconds()))
