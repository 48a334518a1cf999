"""A price as an operator spells it, made into one that calls can be billed by."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from trunkline.v1 import models_pb2
from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.core.model import digest
from trunkline_server.core.moment import moment_of
from trunkline_server.core.money import USD
from trunkline_server.core.pricing import Price, Tier
from trunkline_server.core.text import readable

_UNIT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


def price_of(request: models_pb2.SetPriceRequest, set_by: str) -> Price:
    """Raises VALIDATION, with the field that is wrong."""
    begin = _moment(request)
    tiers = _tiers(request.units)
    return dated(begin, tiers, readable("source", request.source) or f"set by {set_by}")


def dated(begin: datetime, tiers: tuple[Tier, ...], source: str) -> Price:
    """The price that counts from a moment (UTC) on; its version tells the moment and the numbers."""
    version = f"{begin:%Y-%m-%dT%H:%M:%SZ}/{digest(tiers)}"
    return Price(version, begin.date(), tiers, begin.time(), source)


def inherited(by_start: Mapping[int, Mapping[str, int]]) -> Iterator[Tier]:
    """Tiers by the input tokens where they begin: each has what those below it have, unless it says otherwise."""
    whole: dict[str, int] = {}
    for start in sorted(by_start):
        whole = {**whole, **by_start[start]}
        yield Tier(start, whole)


def _moment(request: models_pb2.SetPriceRequest) -> datetime:
    return (
        moment_of("effective_time", request.effective_time) if request.HasField("effective_time") else datetime.now(UTC)
    )


def _tiers(units: Iterable[models_pb2.UnitPrice]) -> tuple[Tier, ...]:
    by_start: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for place, unit in enumerate(units):
        named = by_start[_start(place, unit)]
        if unit.unit in named:
            raise _wrong(place, "unit", "has a price for this number of input tokens already")
        named[unit.unit] = _nanos(place, unit)
    if 0 not in by_start:
        raise invalid("units", "must say what calls with few input tokens cost: from_input_tokens 0")
    return tuple(inherited(by_start))


def _start(place: int, unit: models_pb2.UnitPrice) -> int:
    if not _UNIT.fullmatch(unit.unit):
        raise _wrong(place, "unit", "must be a word of small letters, digits and '_'")
    if unit.from_input_tokens < 0:
        raise _wrong(place, "from_input_tokens", "must not be negative")
    return unit.from_input_tokens


def _nanos(place: int, unit: models_pb2.UnitPrice) -> int:
    if unit.per_million.unit != USD:
        raise _wrong(place, "per_million.unit", f"must be {USD!r}")
    if unit.per_million.nanos < 0:
        raise _wrong(place, "per_million.nanos", "must not be negative")
    return unit.per_million.nanos


def _wrong(place: int, field: str, description: str) -> TrunklineError:
    return invalid(f"units[{place}].{field}", description)
