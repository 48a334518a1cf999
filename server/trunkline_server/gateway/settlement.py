"""What a call used, what it costs, and closing its hold: once, whatever happened to the call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any, Final
from uuid import UUID

from trunkline.v1 import chat_pb2, events_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.pricing import Bill, bill
from trunkline_server.core.usage import added
from trunkline_server.gateway.drains import Drains
from trunkline_server.gateway.moves import moves
from trunkline_server.gateway.run import ESTIMATE, NONE, Run, now
from trunkline_server.store.ledger import Ledger
from trunkline_server.store.usage import UsageRow

_log = logging.getLogger(__name__)

CHARGE_TRAILER: Final = "x-trunkline-charge"

SOURCES: Final = {number: name for name, number in usage_pb2.UsageSource.items()}
OUTCOMES: Final = {number: name for name, number in chat_pb2.Outcome.items()}
FINISH_REASONS: Final = {number: name for name, number in chat_pb2.FinishReason.items()}
NOTHING: Final[Mapping[str, Any]] = {}


class Settlement:
    """Closes holds. The ledger applies what it was once told, though the caller leaves or the process drains."""

    def __init__(
        self, ledger: Ledger, credits_per_usd_nanos: int, tell: Callable[[UUID, events_pb2.Event], None]
    ) -> None:
        self._ledger = ledger
        self._tell = tell
        self._rate_nanos = credits_per_usd_nanos
        self.drains = Drains()
        self.observe: Callable[[Run[Any]], None] | None = None
        """Hears of every run that has its bill."""

    async def settle(self, run: Run[Any], outcome: chat_pb2.Outcome.ValueType, error_reason: str = "") -> None:
        """Write the bill into the run and into the ledger; of an answer that is read on, what is known, and the ledger
        later."""
        run.outcome = outcome
        run.end_time = now()
        basis = self._bill(run)
        if run.left is not None and self.drains.take(run, run.left, partial(self._close, run, error_reason)):
            return
        try:
            if run.left is not None:
                await run.let_go()
        finally:  # whoever is cancelled once more meanwhile still has a bill
            await self._write(run, row_of(run, basis, error_reason))

    async def _close(self, run: Run[Any], error_reason: str) -> None:
        """The bill as it has become meanwhile."""
        await self._write(run, row_of(run, self._bill(run), error_reason))

    def _bill(self, run: Run[Any]) -> str:
        """What it used and costs as far as we know, and how we know."""
        last, basis = run.measured()
        run.usage = reduce(added, run.rounds, last) if run.rounds else last
        run.bill = self._price(run, last)
        if basis == ESTIMATE:
            run.errand.warn(chat_pb2.WARNING_CODE_USAGE_ESTIMATED, "", "the provider reported no usage")
        run.call.trailers[CHARGE_TRAILER] = money.to_decimal_text(run.bill.charge_nanos)
        return basis

    def _price(self, run: Run[Any], last: usage_pb2.Usage) -> Bill:
        """Each round is a call of its own to the provider, and billed so."""
        price = run.route.price
        if price is None:
            return Bill(0, 0, "")
        if not run.rounds and not run.lost:
            return bill(price, last, self._rate_nanos) if last.ByteSize() else Bill(0, 0, price.version)
        bills = [bill(price, usage, self._rate_nanos) for usage in (*run.rounds, last) if usage.ByteSize()]
        cost = sum(each.cost_nano_usd for each in bills)
        cost += sum(bill(price, usage, self._rate_nanos).cost_nano_usd for price, usage in run.lost)
        return Bill(cost, sum(each.charge_nanos for each in bills), price.version)

    async def _write(self, run: Run[Any], row: UsageRow) -> None:
        if self.observe is not None:
            self.observe(run)
        if run.asked > 1:
            for event in moves(run):
                self._tell(row.tenant_id, event)
        try:
            if row.basis == NONE:
                await self._ledger.release(run.hold, row)
            else:
                await self._ledger.settle(run.hold, run.bill.charge_nanos, row)
        except TrunklineError as error:
            # the ledger goes on trying by itself, and the hold expires if it never succeeds
            _log.error("settlement.late completion=%s reason=%s", run.spelled_id, error.reason.value)


def row_of(run: Run[Any], basis: str, error_reason: str) -> UsageRow:
    """What is written down of a run that has its bill."""
    usage, call, input, finish_reason = run.usage, run.call, run.input, run.finish_reason
    return UsageRow(
        completion_id=run.completion_id,
        tenant_id=call.caller.tenant_id,
        user_id=call.user_id,
        key_id=call.caller.principal,
        operation=run.work.operation.value,
        provider=run.route.provider,
        model=run.route.model,
        requested_model=input.model,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        unit_counts=dict(units) if (units := usage.unit_counts) else NOTHING,
        usage_source=SOURCES[usage.source],
        basis=basis,
        cost_nano_usd=run.bill.cost_nano_usd,
        charge_nanos=run.bill.charge_nanos,
        price_version=run.bill.price_version,
        outcome=OUTCOMES[run.outcome],
        finish_reason=FINISH_REASONS[finish_reason] if finish_reason else "",
        error_reason=error_reason,
        attempts=run.asked,
        first_token_ms=round((run.first_token_s or 0) * 1000),
        duration_ms=round((time.perf_counter() - run.began) * 1000),
        labels=dict(labels) if (labels := input.labels) else NOTHING,
        request_id=call.request_id,
    )
