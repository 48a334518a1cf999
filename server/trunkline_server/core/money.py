"""Money: whole billionths (nanos) of a credit or of a US dollar, in Python integers. No float, no Decimal."""

from __future__ import annotations

import re

from trunkline.v1 import usage_pb2

CREDIT = "CREDIT"
USD = "USD"
NANOS = 1_000_000_000
INT64_MAX = 2**63 - 1

_DECIMAL = re.compile(r"(-)?([0-9]{1,19})(?:\.([0-9]{1,9}))?")


def credits(nanos: int) -> usage_pb2.Amount:
    """An amount of credits."""
    return usage_pb2.Amount(unit=CREDIT, nanos=nanos)


def usd(nanos: int) -> usage_pb2.Amount:
    """An amount of US dollars."""
    return usage_pb2.Amount(unit=USD, nanos=nanos)


def ceil_div(amount: int, divisor: int) -> int:
    """Division that rounds up: the one rounding of a charge."""
    return -(-amount // divisor)


def from_decimal_text(text: str) -> int:
    """`"12.5"` as nanos; ValueError for anything but a plain decimal with at most nine places that fits 64 bits."""
    decimal = _DECIMAL.fullmatch(text)
    if decimal is None:
        raise ValueError(f"{text!r} is not a decimal number with at most nine places")
    sign, whole, fraction = decimal.groups(default="")
    nanos = int(whole) * NANOS + int(fraction.ljust(9, "0"))
    if nanos > INT64_MAX:
        raise ValueError(f"{text!r} is too large")
    return -nanos if sign else nanos


def to_decimal_text(nanos: int) -> str:
    """Nanos as people read them: `12.5`."""
    whole, fraction = divmod(abs(nanos), NANOS)
    tail = f"{fraction:09d}".rstrip("0")
    return f"{'-' if nanos < 0 else ''}{whole}{'.' + tail if tail else ''}"
