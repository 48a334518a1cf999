"""Where providers send their webhooks: the path names the provider, the signature proves it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.inbound_webhook import Told
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.proofs import Proof
from trunkline_server.edge.router import JSON, Route
from trunkline_server.edge.status import http_status

_log = logging.getLogger(__name__)

PATH: Final = "/webhooks/"
BODY_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True)
class WebhookDoor:
    """`proofs` by provider; one without has no path here. `take` is told of what is theirs."""

    proofs: Mapping[str, Proof]
    take: Callable[[str, Told], Awaitable[None]]

    def routes(self) -> list[Route]:
        return [Route("POST", f"{PATH}{provider}", self._received) for provider in self.proofs]

    async def _received(self, exchange: Exchange) -> None:
        provider = exchange.path.removeprefix(PATH)
        try:
            body = await exchange.body(BODY_BYTES_MAX)
            await self.take(provider, await self.proofs[provider].read(exchange.header, body, time.time()))
        except TrunklineError as error:
            _log.warning("webhook.refused provider=%s reason=%s", provider, error.reason.value)
            exchange.respond(Reply(http_status(error), JSON, b'{"received":false}'))
        else:
            exchange.respond(Reply(200, JSON, b'{"received":true}'))
