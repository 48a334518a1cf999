"""Figures that are counted while calls go through, and told to whoever asks: counters, histograms, levels of now.

A figure may have labels, whose values are few: never a user, a key or anything else that callers make up without end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Fold: TypeAlias = Literal["sum", "max"]
Labels: TypeAlias = tuple[str, ...]

SERIES_MAX: Final = 2000
"""Label values that come later than these are counted as `other`."""
OTHER: Final = "other"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Family(msgspec.Struct):
    """One figure and its values by labels. Of a histogram they are the counts between the bounds, then the sum.

    `fold` says what several processes are together.
    """

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    fold: Fold = "sum"
    samples: dict[Labels, list[float]] = {}

    @property
    def is_cumulative(self) -> bool:
        return self.kind != "gauge"


class Counter:
    """Counts up."""

    __slots__ = ("_family",)

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self._family = Family(name, "counter", help, labels)

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        samples = self._family.samples
        found = samples.get(labels) or _made(samples, labels, 1)
        found[0] += amount

    def family(self) -> Family:
        return self._family


class Histogram:
    """Counts how many values lie between bounds."""

    __slots__ = ("_bounds", "_family")

    def __init__(self, name: str, help: str, *labels: str, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds = bounds
        self._family = Family(name, "histogram", help, labels, bounds)

    def observe(self, labels: Labels, value: float) -> None:
        samples = self._family.samples
        found = samples.get(labels) or _made(samples, labels, len(self._bounds) + 2)
        found[bisect_left(self._bounds, value)] += 1
        found[-1] += value

    def family(self) -> Family:
        return self._family


class Figures:
    """All figures of a process."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[Family]]] = []

    def add(self, source: Callable[[], Iterable[Family]]) -> None:
        """`source` is asked whenever the figures are."""
        self._sources.append(source)

    def told(self) -> list[Family]:
        return [family for source in self._sources for family in source()]


def level(name: str, help: str, value: float | Mapping[Labels, float], *labels: str, fold: Fold = "sum") -> Family:
    """Something as it is now."""
    return Family(name, "gauge", help, labels, (), fold, _samples(value))


def total(name: str, help: str, value: float | Mapping[Labels, float], *labels: str) -> Family:
    """Something that is counted elsewhere."""
    return Family(name, "counter", help, labels, (), "sum", _samples(value))


def together(*many: Iterable[Family]) -> list[Family]:
    """The figures of several processes as those of one."""
    found: dict[str, Family] = {}
    for family in (each for families in many for each in families):
        known = found.get(family.name)
        if known is None:
            samples = {labels: list(values) for labels, values in family.samples.items()}
            found[family.name] = msgspec.structs.replace(family, samples=samples)
        elif (known.labels, known.bounds) == (family.labels, family.bounds):
            _join(known, family)
    return list(found.values())


def spell(families: Iterable[Family]) -> str:
    """In Prometheus's text format."""
    return "".join(line for family in families for line in _lines(family))


def _join(known: Family, more: Family) -> None:
    fold = max if known.fold == "max" else float.__add__
    for labels, values in more.samples.items():
        mine = known.samples.get(labels)
        known.samples[labels] = (
            list(values)
            if mine is None
            else [fold(float(one), float(two)) for one, two in zip(mine, values, strict=True)]
        )


def _made(samples: dict[Labels, list[float]], labels: Labels, width: int) -> list[float]:
    key = labels if len(samples) < SERIES_MAX else (OTHER,) * len(labels)
    return samples.setdefault(key, [0] * width)


def _samples(value: float | Mapping[Labels, float]) -> dict[Labels, list[float]]:
    return {labels: [each] for labels, each in value.items()} if isinstance(value, Mapping) else {(): [value]}


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for labels, values in family.samples.items():
        pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, labels, strict=True)]
        if family.kind == "histogram":
            yield from _buckets(family, pairs, values)
        else:
            yield f"{family.name}{_braced(pairs)} {_number(values[0])}\n"


def _buckets(family: Family, pairs: list[str], values: list[float]) -> Iterator[str]:
    count = 0.0
    for bound, between in zip((*map(_number, family.bounds), "+Inf"), values, strict=False):
        count += between
        braced = _braced([*pairs, f'le="{bound}"'])
        yield f"{family.name}_bucket{braced} {_number(count)}\n"
    yield f"{family.name}_sum{_braced(pairs)} {_number(values[-1])}\n"
    yield f"{family.name}_count{_braced(pairs)} {_number(count)}\n"


def _braced(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
