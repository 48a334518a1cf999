"""Money as Python counts it: exact decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypeAlias

from trunkline.v1 import usage_pb2

_NANOS: Final = 9
CREDIT: Final = "CREDIT"
Unit: TypeAlias = Literal["CREDIT", "USD"]


def to_decimal(amount: usage_pb2.Amount) -> Decimal:
    return Decimal(amount.nanos).scaleb(-_NANOS)


def of_credits(number: Decimal | int | str, unit: Unit = CREDIT) -> usage_pb2.Amount:
    """Exact, or refused: credits have nine places, and a float is none of them."""
    if isinstance(number, float):
        raise TypeError(f"credits are exact: write {str(number)!r} or a Decimal, not a float")
    nanos = Decimal(number).scaleb(_NANOS)
    if nanos != nanos.to_integral_value():
        raise ValueError(f"{number} has more than {_NANOS} places")
    return usage_pb2.Amount(unit=unit, nanos=int(nanos))
