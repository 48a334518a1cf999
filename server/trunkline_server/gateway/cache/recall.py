"""Answers with what was kept, where a call allows that; else lets the gateway ask, once for all who ask the same.

recall ──(kept and fresh)──▶ told again, at the price of a hit
   └──▶ the gateway asks ──▶ kept, told        ──(nobody answers, and an old answer will do)──▶ told again
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import chat_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.pricing import FREE_OF_CHARGE, Bill
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.cache.key import CacheKey
from trunkline_server.gateway.cache.memory import Kept
from trunkline_server.gateway.cache.retelling import Listener, retold
from trunkline_server.gateway.cache.shelf import Counts, Shelf, now_ms
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.choice import Choice
from trunkline_server.gateway.gateway import COMPLETION_TRAILER, Gateway
from trunkline_server.gateway.run import NONE, now
from trunkline_server.gateway.settlement import CHARGE_TRAILER, row_of
from trunkline_server.gateway.terms import Offer
from trunkline_server.store.ledger import Ledger

CACHE_TRAILER: Final = "x-trunkline-cache"
HIT_HOLD_S: Final = 120
PRICE_VERSION: Final = "cache"
STALE_WILL_DO: Final = frozenset(
    (
        Reason.PROVIDERS_EXHAUSTED,
        Reason.CIRCUIT_OPEN,
        Reason.OVERLOADED,
        Reason.PROVIDER_QUOTA,
        Reason.PROVIDER_CREDENTIALS,
    )
)
_WORDS: Final = {
    chat_pb2.CACHE_STATUS_MISS: "miss",
    chat_pb2.CACHE_STATUS_HIT: "hit",
    chat_pb2.CACHE_STATUS_STALE: "stale",
}
_KEPT: Final = (chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_STOP_SEQUENCE, chat_pb2.FINISH_REASON_TOOL_CALLS)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """`stale_s`: how long an answer is kept beyond its time. A hit costs `hit_price_nanos`."""

    ttl_s: float
    stale_s: float
    answer_bytes_max: int
    hit_price_nanos: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call wants of the cache."""

    key: CacheKey
    mode: chat_pb2.CacheMode.ValueType
    ttl_s: float
    allow_stale: bool

    @property
    def reads(self) -> bool:
        return self.mode != chat_pb2.CACHE_MODE_REFRESH


class Recall:
    """Stands where the gateway would. Calls without a policy pass through untouched."""

    def __init__(self, gateway: Gateway, ledger: Ledger, shelf: Shelf, settings: CacheSettings) -> None:
        self.shelf = shelf
        self._gateway = gateway
        self._ledger = ledger
        self._settings = settings
        self._flights: dict[CacheKey, asyncio.Event] = {}

    @property
    def admission(self) -> Admission:
        return self._gateway.admission

    async def complete(self, call: Call, input: chat_pb2.ChatInput) -> ChatRun:
        """The answer in one piece, in a run that has ended."""
        wish = self._wish(call, input)
        if wish is None:
            return await self._gateway.complete(call, input)
        async with self._turn(wish) as kept:
            if kept is not None:
                return await self._told_again(call, input, wish, kept)
            try:
                run = await self._gateway.complete(call, input)
            except TrunklineError as error:
                return await self._told_again(call, input, wish, await self._stale(wish, error))
            self._missed(call, wish)
            run.cache_status = chat_pb2.CACHE_STATUS_MISS
            whole = chat_pb2.Completion()
            run.write(whole)
            await self._keep(wish, whole)
            return run

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The answer as it comes in, or as it was kept."""
        wish = self._wish(call, input)
        return (
            self._gateway.stream(call, ChatWork(input, streaming=True))
            if wish is None
            else self._recalled(call, input, wish)
        )

    async def _recalled(
        self, call: Call, input: chat_pb2.ChatInput, wish: Wish
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        async with self._turn(wish) as kept:
            told = self._asked_or_stale(call, input, wish) if kept is None else self._again(call, input, wish, kept)
            async with aclosing(told) as events:
                async for event in events:
                    yield event

    async def _asked_or_stale(
        self, call: Call, input: chat_pb2.ChatInput, wish: Wish
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        begun = False
        try:
            async with aclosing(self._asked(call, input, wish)) as events:
                async for event in events:
                    begun = True
                    yield event
        except TrunklineError as error:
            if begun:
                raise
            kept = await self._stale(wish, error)
        else:
            return
        async with aclosing(self._again(call, input, wish, kept)) as events:
            async for event in events:
                yield event

    async def _again(
        self, call: Call, input: chat_pb2.ChatInput, wish: Wish, kept: Kept
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The kept answer as a stream."""
        run = await self._told_again(call, input, wish, kept, streaming=True)
        for event in (*run.events(), *run.last_events()):
            yield event
        call.is_billed = True
        yield run.completed()

    async def _asked(
        self, call: Call, input: chat_pb2.ChatInput, wish: Wish
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """What the gateway says, which is kept before its last word."""
        listener = Listener()
        async with aclosing(self._gateway.stream(call, ChatWork(input, streaming=True))) as events:
            async for event in events:
                if listener.hear(event):
                    self._missed(call, wish)
                    event.completed.cache_status = chat_pb2.CACHE_STATUS_MISS
                    await self._keep(wish, listener.whole)
                yield event

    def _wish(self, call: Call, input: chat_pb2.ChatInput) -> Wish | None:
        if not input.HasField("cache") or input.cache.mode == chat_pb2.CACHE_MODE_OFF:
            return None
        policy, caller = input.cache, call.caller
        route = self.admission.candidates.first(call, input)
        key = CacheKey.of(caller.tenant_id, route.provider, route.model, input, caller.allowed_models)
        ttl_s = policy.ttl.seconds + policy.ttl.nanos / 1e9 if policy.HasField("ttl") else self._settings.ttl_s
        return Wish(key, policy.mode, ttl_s, policy.allow_stale)

    @asynccontextmanager
    async def _turn(self, wish: Wish) -> AsyncIterator[Kept | None]:
        """What is kept, after waiting for whoever asks the same just now; None where this call is to ask."""
        kept = await self._fresh(wish)
        if kept is None and wish.reads and (flight := self._flights.get(wish.key)) is not None:
            await flight.wait()
            kept = await self._fresh(wish)
        if kept is None and wish.mode == chat_pb2.CACHE_MODE_ONLY:
            raise not_found("cached_answer", wish.key.digest[:12])
        if kept is not None or wish.key in self._flights:
            yield kept
            return
        flight = self._flights[wish.key] = asyncio.Event()
        try:
            yield None
        finally:
            del self._flights[wish.key]
            flight.set()

    async def _fresh(self, wish: Wish) -> Kept | None:
        kept = await self.shelf.find(wish.key) if wish.reads else None
        return kept if kept is not None and kept.fresh_until_ms > now_ms() else None

    async def _stale(self, wish: Wish, error: TrunklineError) -> Kept:
        """An answer that is no longer fresh, where the caller takes one; else raises the error."""
        if wish.allow_stale and error.reason in STALE_WILL_DO:
            kept = await self.shelf.find(wish.key)
            if kept is not None:
                return kept
        raise error

    async def _keep(self, wish: Wish, whole: chat_pb2.Completion) -> None:
        """Only whole answers of the model that was meant, and none that is very large."""
        if not _is_keepable(whole, wish.key):
            return
        for field in ("completion_id", "usage", "cost", "charge", "attempts", "warnings", "actions"):
            whole.ClearField(field)
        told = whole.SerializeToString()
        if len(told) <= self._settings.answer_bytes_max:
            fresh_until_ms = now_ms() + round(wish.ttl_s * 1000)
            kept = Kept(told, fresh_until_ms, fresh_until_ms + round(self._settings.stale_s * 1000))
            await self.shelf.put(wish.key, kept)

    def _missed(self, call: Call, wish: Wish) -> None:
        call.trailers[CACHE_TRAILER] = _WORDS[chat_pb2.CACHE_STATUS_MISS]
        self._counts(wish).misses += 1

    async def _told_again(
        self, call: Call, input: chat_pb2.ChatInput, wish: Wish, kept: Kept, *, streaming: bool = False
    ) -> ChatRun:
        """A run that has ended, with the kept answer and the bill of a hit."""
        whole = chat_pb2.Completion.FromString(kept.completion)
        run = await self._run(call, input, whole, streaming=streaming)
        run.cache_status = self._counted(wish, is_fresh=kept.fresh_until_ms > now_ms())
        call.trailers[COMPLETION_TRAILER] = run.spelled_id
        call.trailers[CHARGE_TRAILER] = money.to_decimal_text(run.bill.charge_nanos)
        call.trailers[CACHE_TRAILER] = _WORDS[run.cache_status]
        call.facts |= {"completion": run.spelled_id, "cache": _WORDS[run.cache_status]}
        await self._ledger.settle(run.hold, run.bill.charge_nanos, row_of(run, NONE, ""))
        return run

    async def _run(
        self, call: Call, input: chat_pb2.ChatInput, whole: chat_pb2.Completion, *, streaming: bool
    ) -> ChatRun:
        route = self.admission.candidates.first(call, input)
        account = await self.admission.account(call, route)
        completion_id, price_nanos = ids.new_uuid(), self._settings.hit_price_nanos
        named = {"provider": route.provider, "model": route.model, "price_version": PRICE_VERSION}
        hold = await self._ledger.reserve(completion_id, account, price_nanos, HIT_HOLD_S, **named)
        work = ChatWork(input, streaming)
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
            bill=Bill(0, price_nanos, PRICE_VERSION),
            outcome=whole.outcome,
        )
        run.answer = retold(whole, streaming=streaming)
        return run

    def _counted(self, wish: Wish, *, is_fresh: bool) -> chat_pb2.CacheStatus.ValueType:
        counts = self._counts(wish)
        if is_fresh:
            counts.hits += 1
            return chat_pb2.CACHE_STATUS_HIT
        counts.stale += 1
        return chat_pb2.CACHE_STATUS_STALE

    def _counts(self, wish: Wish) -> Counts:
        return self.shelf.counts[wish.key.tenant_id, wish.key.provider, wish.key.model]


def _is_keepable(whole: chat_pb2.Completion, key: CacheKey) -> bool:
    """Not what a fallback said, and not what was cut short or filtered."""
    if not whole.candidates or not whole.attempts:
        return False
    last = whole.attempts[-1]
    ended_well = all(each.finish_reason in _KEPT for each in whole.candidates)
    return ended_well and (last.provider, last.model) == (key.provider, key.model)
