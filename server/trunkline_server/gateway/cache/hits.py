"""Tells a kept answer again: a run of its own, with the bill of a hit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import chat_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.pricing import FREE_OF_CHARGE, Bill
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.cache.memory import Kept
from trunkline_server.gateway.cache.retelling import retold
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.choice import Choice
from trunkline_server.gateway.gateway import COMPLETION_TRAILER
from trunkline_server.gateway.run import NONE, now
from trunkline_server.gateway.settlement import CHARGE_TRAILER, row_of
from trunkline_server.gateway.terms import Offer
from trunkline_server.store.ledger import Ledger

CACHE_TRAILER: Final = "x-trunkline-cache"
HIT_HOLD_S: Final = 120
PRICE_VERSION: Final = "cache"
WORDS: Final[Mapping[chat_pb2.CacheStatus.ValueType, str]] = {
    chat_pb2.CACHE_STATUS_MISS: "miss",
    chat_pb2.CACHE_STATUS_HIT: "hit",
    chat_pb2.CACHE_STATUS_STALE: "stale",
    chat_pb2.CACHE_STATUS_SIMILAR: "similar",
}


@dataclass(frozen=True, slots=True)
class Hits:
    """Each costs `price_nanos`."""

    admission: Admission
    ledger: Ledger
    price_nanos: int

    async def tell(
        self,
        call: Call,
        work: ChatWork,
        kept: Kept,
        status: chat_pb2.CacheStatus.ValueType,
        lookup: chat_pb2.CacheLookup | None = None,
    ) -> ChatRun:
        """A run that has ended, with the kept answer."""
        run = await self._run(call, work, chat_pb2.Completion.FromString(kept.completion))
        run.cache_status, run.cache_lookup = status, lookup
        call.trailers[COMPLETION_TRAILER] = run.spelled_id
        call.trailers[CHARGE_TRAILER] = money.to_decimal_text(run.bill.charge_nanos)
        call.trailers[CACHE_TRAILER] = WORDS[status]
        call.facts |= {"completion": run.spelled_id, "cache": WORDS[status]}
        await self.ledger.settle(run.hold, run.bill.charge_nanos, row_of(run, NONE, ""))
        return run

    async def _run(self, call: Call, work: ChatWork, whole: chat_pb2.Completion) -> ChatRun:
        route = self.admission.candidates.first(call, work.input)
        account = await self.admission.account(call, route)
        completion_id = ids.new_uuid()
        named = {"provider": route.provider, "model": route.model, "price_version": PRICE_VERSION}
        await self.admission.lend(call, completion_id, self.price_nanos, HIT_HOLD_S)
        hold = await self.ledger.reserve(completion_id, account, self.price_nanos, HIT_HOLD_S, **named)
        offer = Offer(route, 0, FREE_OF_CHARGE)
        run = ChatRun(
            completion_id=completion_id,
            call=call,
            work=work,
            route=route,
            account=account,
            hold=hold,
            errand=work.errand(call, offer),
            offer=offer,
            began=time.perf_counter(),
            create_time=now(),
            choice=Choice((), work),
            end_time=now(),
            usage=usage_pb2.Usage(source=usage_pb2.USAGE_SOURCE_CACHE),
            bill=Bill(0, self.price_nanos, PRICE_VERSION),
            outcome=whole.outcome,
        )
        run.answer = retold(whole, streaming=work.streaming)
        return run
