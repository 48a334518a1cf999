"""Sends webhooks: makes deliveries of what happened, claims those that are due, posts them, and writes what came of it.

    event ──fan out──> delivery ──claim──> post ──> finish          each step is one statement, or outside of any

A sender that dies between two steps loses nothing: its lease ends, and another sends the same body under the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.pause import wait_s
from trunkline_server.core.webhook import RETRY_AFTER_S_MAX, pause_s, signature
from trunkline_server.providers.egress import Answered, Egress
from trunkline_server.store.news import News, heard
from trunkline_server.store.outbox import Outbox
from trunkline_server.store.webhook_deliveries import Claimed, Sent, WebhookDeliveries
from trunkline_server.worker.chores import reason_of

_log = logging.getLogger(__name__)

LEASE_S: Final = 30.0
LOOK_S: Final = 1.0
PAUSE_S: Final = 1.0
REST_S: Final = 0.02
"""Events that follow each other so closely become deliveries together."""
EVENTS_MAX: Final = 1000
"""Events that become deliveries by one statement."""
ANSWER_BYTES_MAX: Final = 64 * 1024
PAUSING: Final = frozenset((429, 502, 503, 504))
"""After these a `retry-after` is obeyed, by all deliveries to the endpoint."""
GONE: Final = 410
ERRORS: Final[Mapping[Reason, str]] = {Reason.DEADLINE: "TIMEOUT", Reason.URL_NOT_ALLOWED: "URL_NOT_ALLOWED"}


@dataclass(frozen=True, slots=True)
class Postage:
    """How many are sent at once by this process, and to one endpoint; `chance` spreads the times of attempts."""

    at_once: int = 32
    endpoint_at_once: int = 4
    chance: Callable[[], float] = random.random


class Postman:
    """One in each process that works."""

    def __init__(
        self, deliveries: WebhookDeliveries, outbox: Outbox, news: News, egress: Egress, postage: Postage | None = None
    ) -> None:
        self._deliveries = deliveries
        self._outbox = outbox
        self._news = news
        self._egress = egress
        self._postage = postage or Postage()
        self._sending: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Until cancelled. What is being sent then is left, and sent again by whoever comes next."""
        try:
            with self._news.watched() as news:
                while True:
                    news.clear()
                    if not await self._turned():
                        await heard(news, LOOK_S)
                        await asyncio.sleep(REST_S)
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def _turned(self) -> bool:
        """Whether there was something to do, and there may be more."""
        try:
            _, is_more = await self._deliveries.fan_out(await self._outbox.head(), EVENTS_MAX)
            return await self._took() or is_more
        except Exception as error:  # noqa: BLE001 - one that cannot be read must not stop the others
            _log.warning("webhooks.waits reason=%s", reason_of(error))
            await asyncio.sleep(PAUSE_S)
            return False

    async def _took(self) -> bool:
        free = self._postage.at_once - len(self._sending)
        if free <= 0:
            return False
        claimed = await self._deliveries.claim(free, self._postage.endpoint_at_once, LEASE_S)
        for each in claimed:
            task = asyncio.create_task(self._deliver(each), name="webhook")
            self._sending.add(task)
            task.add_done_callback(self._done)
        return bool(claimed)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._news.heard()  # there is room for another

    async def _deliver(self, claimed: Claimed) -> None:
        sent = await self._posted(claimed)
        try:
            await self._deliveries.finish(claimed, sent)
        except TrunklineError as error:
            _log.warning("webhooks.unwritten delivery=%s reason=%s", claimed.delivery_id.hex, error.reason.value)

    async def _posted(self, claimed: Claimed) -> Sent:
        began = time.perf_counter()
        if not claimed.secrets:
            return self._refused(claimed, began, "SECRET_UNREADABLE")
        try:
            answered = await self._egress.post(
                claimed.uri,
                claimed.body.encode(),
                headers_of(claimed, int(time.time())),
                owner=claimed.tenant_id,
                bytes_max=ANSWER_BYTES_MAX,
                field="uri",
            )
        except TrunklineError as error:
            return self._refused(claimed, began, ERRORS.get(error.reason, error.reason.value))
        if 200 <= answered.status < 300:
            return Sent(ok=True, http_status=answered.status, took_ms=_ms_since(began))
        return self._refused(claimed, began, "HTTP_STATUS", answered)

    def _refused(self, claimed: Claimed, began: float, error: str, answered: Answered | None = None) -> Sent:
        status = answered.status if answered else 0
        told_s = retry_after_s(answered) if answered and status in PAUSING else None
        again_s = pause_s(claimed.attempt, self._postage.chance())
        if again_s is not None and told_s is not None:
            again_s = max(again_s, told_s)
        return Sent(
            ok=False,
            http_status=status,
            error=error,
            took_ms=_ms_since(began),
            again_s=again_s,
            pause_s=told_s,
            is_gone=status == GONE,
        )


def headers_of(claimed: Claimed, now_s: int) -> dict[str, str]:
    """What is sent with a body: a signature by each secret that counts."""
    webhook_id, body = ids.spell("evt", claimed.event_id), claimed.body.encode()
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(signature(secret, webhook_id, now_s, body) for secret in claimed.secrets),
    }


def retry_after_s(answered: Answered) -> float | None:
    """How long somebody wants to be left alone; at most a day."""
    told_s = wait_s(answered.headers.get("retry-after"), time.time())
    return None if told_s is None else min(max(told_s, 0.0), RETRY_AFTER_S_MAX)


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
