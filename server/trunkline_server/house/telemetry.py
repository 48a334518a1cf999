"""What is counted and traced of calls, and who hears of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trunkline_server.config import Settings
from trunkline_server.core.figures import Family, Figures, spell
from trunkline_server.core.trace import Tracer
from trunkline_server.door.meter import CallMeter
from trunkline_server.edge.figures import families
from trunkline_server.edge.limits import Traffic
from trunkline_server.gateway import traces
from trunkline_server.gateway.meter import RunMeter
from trunkline_server.gateway.run import Run
from trunkline_server.gateway.settlement import Settlement
from trunkline_server.house.keeping import keep
from trunkline_server.house.levels import Levels
from trunkline_server.house.otel import Otel, open_otel
from trunkline_server.house.place import SUFFIX, Place


@dataclass(frozen=True)
class Meters:
    """Those that calls meet on their way; each is None where nobody wants it."""

    calls: CallMeter | None
    runs: RunMeter | None
    otel: Otel | None

    @classmethod
    def open(cls, settings: Settings, stack: AsyncExitStack) -> Meters:
        """Raises StartError."""
        counts = settings.telemetry.metrics
        return cls(CallMeter() if counts else None, RunMeter() if counts else None, open_otel(settings, stack))

    @property
    def tracer(self) -> Tracer | None:
        return self.otel

    def watch(self, settlement: Settlement) -> None:
        """Hear of every run from now on."""
        if self.runs is not None or self.otel is not None:
            settlement.observe = self._ended

    def families(self) -> Iterator[Family]:
        for meter in (self.calls, self.runs):
            yield from meter.families() if meter is not None else ()

    def _ended(self, run: Run[Any]) -> None:
        duration_s = time.perf_counter() - run.began
        if self.runs is not None:
            self.runs.ended(run, duration_s)
        if self.otel is not None:
            self._told(self.otel, run, duration_s)

    def _told(self, otel: Otel, run: Run[Any], duration_s: float) -> None:
        inference = traces.inference_of(run)
        otel.measure(inference, duration_s)
        if run.call.trace is not None:
            run.call.trace.closed(inference)


class Page:
    """All figures, of all processes at this address, as Prometheus fetches them."""

    def __init__(self, meters: Meters, levels: Levels, traffic: Traffic, place: Path | None) -> None:
        self._levels = levels
        self._figures = Figures()
        for source in (meters.families, levels.families, lambda: families(traffic)):
            self._figures.add(source)
        self._place = Place(place.with_suffix(SUFFIX), self._figures.told) if place else None

    def keep(self, stack: AsyncExitStack) -> None:
        """Tell the other processes, where there are some."""
        if self._place is not None:
            stack.callback(self._place.write)
            keep(stack, self._place.keep())

    async def families(self) -> list[Family]:
        told = self._place.figures() if self._place else self._figures.told()
        return [*told, *await self._levels.backlog()]

    async def text(self) -> str:
        return spell(await self.families())
