"""Bills of the past, made anew by the prices that are known now. What differs is posted; nothing is ever edited."""

from __future__ import annotations

from collections import defaultdict
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import msgspec

from trunkline.v1 import usage_pb2
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.pricing import Price, bill
from trunkline_server.core.reduction import as_reduced
from trunkline_server.core.tuning.size import OWN_VERSION
from trunkline_server.store import repricing
from trunkline_server.store.database import Database
from trunkline_server.store.holds import Hold
from trunkline_server.store.ledger import Ledger
from trunkline_server.store.repricing import Charged


@dataclass(slots=True)
class Change:
    """What changes for the calls of one model that go from one price to another; amounts are above zero where dearer.

    `lost`: calls whose reservation is forgotten already, so that nothing can be posted to them.
    """

    calls: int = 0
    cost_nano_usd: int = 0
    charge_nanos: int = 0
    lost: int = 0


Changes = dict[tuple[str, str, str], Change]
"""By model, the price that was, and the price that is."""


@dataclass(frozen=True, slots=True)
class Repricing:
    """Does it, or says what it would do."""

    database: Database
    ledger: Ledger
    catalogue: Catalogue
    credits_per_usd_nanos: int

    async def run(self, start: datetime, end: datetime, *, dry: bool) -> Changes:
        """Over the calls that ended in a time. Doing it again changes nothing more."""
        changes: defaultdict[tuple[str, str, str], Change] = defaultdict(Change)
        async with aclosing(repricing.charged(self.database, start, end)) as calls:
            async for call in calls:
                price = self._price(call)
                if price is not None and price.version != call.price_version:
                    name = (f"{call.provider}/{call.model}", call.price_version, price.version)
                    await self._reprice(call, price, changes[name], dry=dry)
        return dict(changes)

    def _price(self, call: Charged) -> Price | None:
        if call.price_version.startswith(OWN_VERSION):
            return None  # what the catalogue says is about other work, or about other models
        entry = self.catalogue.find(call.provider, call.model)
        price = None if entry is None else entry.price_at(call.begin_time)
        return None if price is None else as_reduced(price, call.price_version)

    async def _reprice(self, call: Charged, price: Price, change: Change, *, dry: bool) -> None:
        hold = await self._hold(call)
        if hold is None:
            change.lost += 1
            return
        now = bill(price, _usage(call), self.credits_per_usd_nanos)
        dearer = now.charge_nanos - call.charge_nanos
        if not dry:
            gain = await repricing.reprice(self.database, call, hold, now)
            if gain is None:
                return
            dearer = -gain
        change.calls += 1
        change.cost_nano_usd += now.cost_nano_usd - call.cost_nano_usd
        change.charge_nanos += dearer

    async def _hold(self, call: Charged) -> Hold | None:
        try:
            return await self.ledger.get_hold(call.tenant_id, call.completion_id)
        except TrunklineError as error:
            if error.reason is not Reason.RESOURCE_NOT_FOUND:
                raise
            return None


def _usage(call: Charged) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        input_tokens=call.input_tokens,
        cached_input_tokens=call.cached_input_tokens,
        cache_write_input_tokens=call.cache_write_input_tokens,
        output_tokens=call.output_tokens,
        reasoning_output_tokens=call.reasoning_output_tokens,
        unit_counts=msgspec.json.decode(call.unit_counts),
    )
