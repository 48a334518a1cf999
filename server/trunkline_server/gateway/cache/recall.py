"""Answers with what was kept, where a call allows that; else lets the gateway ask, once for all who ask the same.

recall ──(kept and fresh)──▶ told again, at the price of a hit
   ├──(kept for a question that means the same, where that will do)──▶ told again
   └──▶ the gateway asks ──▶ kept, told        ──(nobody answers, and an old answer will do)──▶ told again
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from trunkline.v1 import chat_pb2, guard_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.cache.hits import CACHE_TRAILER, WORDS, Hits
from trunkline_server.gateway.cache.key import CacheKey
from trunkline_server.gateway.cache.memory import Kept
from trunkline_server.gateway.cache.retelling import Listener
from trunkline_server.gateway.cache.shelf import Counts, Shelf, now_ms
from trunkline_server.gateway.cache.similar import Looked, Similar, billed
from trunkline_server.gateway.cache.wish import CacheSettings, Wish
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.guards.guards import Guards
from trunkline_server.store.ledger import Ledger

STALE_WILL_DO: Final = frozenset(
    (
        Reason.PROVIDERS_EXHAUSTED,
        Reason.CIRCUIT_OPEN,
        Reason.OVERLOADED,
        Reason.PROVIDER_QUOTA,
        Reason.PROVIDER_CREDENTIALS,
    )
)
_KEPT: Final = (chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_STOP_SEQUENCE, chat_pb2.FINISH_REASON_TOOL_CALLS)


class Recall:
    """Stands where the gateway would. Calls without a policy pass through untouched."""

    def __init__(self, gateway: Gateway, ledger: Ledger, shelf: Shelf, settings: CacheSettings) -> None:
        self.shelf = shelf
        self._gateway = gateway
        self._settings = settings
        self._hits = Hits(gateway.admission, ledger, settings.hit_price_nanos)
        self._similar = Similar(gateway, shelf.similar)
        self._flights: dict[CacheKey, asyncio.Event] = {}

    @property
    def admission(self) -> Admission:
        return self._gateway.admission

    @property
    def guards(self) -> Guards:
        return self._gateway.guards

    def complete(self, call: Call, input: chat_pb2.ChatInput) -> Coroutine[Any, Any, ChatRun]:
        """The answer in one piece, in a run that has ended."""
        wish = self._wish(call, input)
        return self._gateway.complete(call, input) if wish is None else self._completed(call, ChatWork(input), wish)

    async def _completed(self, call: Call, work: ChatWork, wish: Wish) -> ChatRun:
        async with self._turn(wish) as kept:
            if kept is not None:
                return await self._told_again(call, work, wish, kept)
            looked = await self._similar.look(call, wish)
            with billed(call, looked):
                return await self._similar_or_asked(call, work, wish, looked)

    async def _similar_or_asked(self, call: Call, work: ChatWork, wish: Wish, looked: Looked | None) -> ChatRun:
        if looked is not None and looked.kept is not None:
            return await self._told_similar(call, work, wish, looked, looked.kept)
        _require_asking(wish)
        try:
            run = await self._gateway.complete(call, work.input)
        except TrunklineError as error:
            return await self._told_again(call, work, wish, await self._stale(wish, error))
        self._missed(call, wish)
        run.cache_status = chat_pb2.CACHE_STATUS_MISS
        run.cache_lookup = looked.lookup if looked else None
        whole = chat_pb2.Completion()
        run.write(whole)
        await self._keep(wish, whole, looked)
        return run

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The answer as it comes in, or as it was kept."""
        wish, work = self._wish(call, input), ChatWork(input, streaming=True)
        return self._gateway.stream(call, work) if wish is None else self._recalled(call, work, wish)

    async def _recalled(self, call: Call, work: ChatWork, wish: Wish) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        async with self._turn(wish) as kept:
            looked = await self._similar.look(call, wish) if kept is None else None
            with billed(call, looked):
                if kept is not None:
                    told = _events(call, await self._told_again(call, work, wish, kept))
                elif looked is not None and looked.kept is not None:
                    told = _events(call, await self._told_similar(call, work, wish, looked, looked.kept))
                else:
                    told = self._asked_or_stale(call, work, wish, looked)
                async with aclosing(told) as events:
                    async for event in events:
                        yield event

    async def _asked_or_stale(
        self, call: Call, work: ChatWork, wish: Wish, looked: Looked | None
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        _require_asking(wish)
        begun = False
        try:
            async with aclosing(self._asked(call, work, wish, looked)) as events:
                async for event in events:
                    begun = True
                    yield event
        except TrunklineError as error:
            if begun:
                raise
            kept = await self._stale(wish, error)
        else:
            return
        async with aclosing(_events(call, await self._told_again(call, work, wish, kept))) as events:
            async for event in events:
                yield event

    async def _asked(
        self, call: Call, work: ChatWork, wish: Wish, looked: Looked | None
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """What the gateway says, which is kept before its last word."""
        listener = Listener()
        async with aclosing(self._gateway.stream(call, work)) as events:
            async for event in events:
                if listener.hear(event):
                    self._missed(call, wish)
                    event.completed.cache_status = chat_pb2.CACHE_STATUS_MISS
                    if looked is not None:
                        event.completed.cache_lookup.CopyFrom(looked.lookup)
                    await self._keep(wish, listener.whole, looked)
                yield event

    def _wish(self, call: Call, input: chat_pb2.ChatInput) -> Wish | None:
        if not input.HasField("cache") or input.cache.mode == chat_pb2.CACHE_MODE_OFF:
            return None
        armed = self.guards.of(call, ChatWork(input))
        guard = armed.digest if armed is not None else b""
        return Wish.of(call, self.admission.candidates.first(call, input), input, self._settings, guard)

    @asynccontextmanager
    async def _turn(self, wish: Wish) -> AsyncIterator[Kept | None]:
        """What is kept, after waiting for whoever asks the same just now; None where this call is to ask."""
        kept = await self._fresh(wish)
        if kept is None and wish.reads and (flight := self._flights.get(wish.key)) is not None:
            await flight.wait()
            kept = await self._fresh(wish)
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

    async def _keep(self, wish: Wish, whole: chat_pb2.Completion, looked: Looked | None) -> None:
        """Only whole answers of the model that was meant, and none that is very large."""
        if not _is_keepable(whole, wish.key):
            return
        for field in (
            "completion_id",
            "usage",
            "cost",
            "charge",
            "attempts",
            "warnings",
            "guard_findings",
            "cache_lookup",
            "actions",
        ):
            whole.ClearField(field)
        told = whole.SerializeToString()
        if len(told) > self._settings.answer_bytes_max:
            return
        fresh_until_ms = now_ms() + round(wish.ttl_s * 1000)
        await self.shelf.put(
            wish.key, Kept(told, fresh_until_ms, fresh_until_ms + round(self._settings.stale_s * 1000))
        )
        if looked is not None:
            await self._similar.keep(wish, looked, told)

    def _missed(self, call: Call, wish: Wish) -> None:
        call.trailers[CACHE_TRAILER] = WORDS[chat_pb2.CACHE_STATUS_MISS]
        self._counts(wish).misses += 1

    async def _told_again(self, call: Call, work: ChatWork, wish: Wish, kept: Kept) -> ChatRun:
        if kept.fresh_until_ms > now_ms():
            self._counts(wish).hits += 1
            return await self._hits.tell(call, work, kept, chat_pb2.CACHE_STATUS_HIT)
        self._counts(wish).stale += 1
        return await self._hits.tell(call, work, kept, chat_pb2.CACHE_STATUS_STALE)

    async def _told_similar(self, call: Call, work: ChatWork, wish: Wish, looked: Looked, kept: Kept) -> ChatRun:
        self._counts(wish).similar += 1
        return await self._hits.tell(call, work, kept, chat_pb2.CACHE_STATUS_SIMILAR, looked.lookup)

    def _counts(self, wish: Wish) -> Counts:
        return self.shelf.counts[wish.key.tenant_id, wish.key.provider, wish.key.model]


async def _events(call: Call, run: ChatRun) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
    """A kept answer as a stream."""
    for event in (*run.events(), *run.last_events()):
        yield event
    call.is_billed = True
    yield run.completed()


def _require_asking(wish: Wish) -> None:
    """Raises RESOURCE_NOT_FOUND where nobody is to be asked."""
    if wish.mode == chat_pb2.CACHE_MODE_ONLY:
        raise not_found("cached_answer", wish.key.digest[:12])


def _is_keepable(whole: chat_pb2.Completion, key: CacheKey) -> bool:
    """Not what a fallback said, not what was cut short or filtered, and not what a guard keeps from others."""
    if not whole.candidates or not whole.attempts:
        return False
    if any(found.action == guard_pb2.GUARD_ACTION_MASK for found in whole.guard_findings):
        return False  # the answer may have what was masked
    last = whole.attempts[-1]
    ended_well = all(each.finish_reason in _KEPT for each in whole.candidates)
    return ended_well and (last.provider, last.model) == (key.provider, key.model)
