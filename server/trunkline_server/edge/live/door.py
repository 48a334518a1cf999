"""`/stream` and `/ws`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import orjson
from wsproto.utilities import generate_accept_token

from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Procedure
from trunkline_server.edge.calls import Calls
from trunkline_server.edge.chat_call import STREAM
from trunkline_server.edge.exchange import Exchange, Headers, Reply
from trunkline_server.edge.limits import Limits
from trunkline_server.edge.live.conversation import Conversation
from trunkline_server.edge.live.events import Events
from trunkline_server.edge.live.pages import metadata_of_page
from trunkline_server.edge.live.places import Places
from trunkline_server.edge.live.socket import WebSocket
from trunkline_server.edge.origin import is_own
from trunkline_server.edge.router import JSON, Route
from trunkline_server.edge.rpc.errors import spell
from trunkline_server.edge.status import http_status

RESUME: Final = "/trunkline.v1.ChatService/ResumeStream"
ACTION: Final = "/trunkline.v1.ActionService/ExecuteAction"
PROTOCOL: Final = "trunkline.v1"
KEY_PROTOCOL: Final = "trunkline.key."
"""A page cannot set headers on a WebSocket; it offers its key as a protocol, which is not taken up."""
_OWN_TO_EACH_CALL: Final = frozenset(("x-request-id", "idempotency-key", "signature"))


@dataclass(frozen=True, slots=True)
class LiveDoor:
    """Both are the RPC `Stream`, and what goes with it."""

    calls: Calls
    places: Places
    limits: Limits
    allowed_origins: tuple[str, ...]

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/stream", self.stream),
            Route("POST", "/stream", self.stream),
            Route("GET", "/ws", self.websocket),
        ]

    async def stream(self, exchange: Exchange) -> None:
        with ExitStack() as taken:
            await self.calls.serve(
                exchange, STREAM, Events(exchange, self.places, taken, self.calls.procedures[RESUME])
            )

    async def websocket(self, exchange: Exchange) -> None:
        if refusal := self._refusal(exchange):
            exchange.respond(refusal)
            return
        metadata = _metadata(exchange)
        visit = self.calls.boundary.visit(self.calls.procedures[STREAM], metadata, None, exchange.certificate)
        with ExitStack() as taken:
            try:
                await visit.identify()
                taken.enter_context(self.places.take(visit.call.caller.holder, "websocket"))
            except TrunklineError as error:
                told = visit.failed(error)
                exchange.respond(Reply(http_status(told), JSON, spell(told, visit.call.request_id)))
                return
            socket = WebSocket(exchange, self.limits)
            exchange.switch(_accepted(exchange), socket)
            visit.answered()  # the place in the house is for calls, and each on this socket takes its own
            await socket.run(
                Conversation(self.calls.boundary, self._kinds(), metadata, exchange.certificate, socket.send)
            )

    def _kinds(self) -> Mapping[str, Procedure]:
        """What a page may ask for, by the word for it."""
        procedures = self.calls.procedures
        return {"start": procedures[STREAM], "resume": procedures[RESUME], "action": procedures[ACTION]}

    def _refusal(self, exchange: Exchange) -> Reply | None:
        upgrades = exchange.head.upgrades and exchange.header("upgrade").lower() == "websocket"
        if not upgrades or not exchange.header("sec-websocket-key"):
            return _refused(426, "this path is a WebSocket", ("upgrade", "websocket"))
        if exchange.header("sec-websocket-version") != "13":
            return _refused(426, "only version 13 is spoken", ("sec-websocket-version", "13"))
        if exchange.header("origin") not in self.allowed_origins and not is_own(exchange):
            return _refused(403, "pages of this origin may not call; see http.allowed_origins")
        return None


def _refused(status: int, message: str, *headers: tuple[str, str]) -> Reply:
    return Reply(status, (*JSON, *headers), orjson.dumps({"code": "failed_precondition", "message": message}))


def _offered(exchange: Exchange) -> list[str]:
    return [each.strip() for each in exchange.header("sec-websocket-protocol").split(",") if each.strip()]


def _metadata(exchange: Exchange) -> Headers:
    given = [pair for pair in metadata_of_page(exchange) if pair[0] not in _OWN_TO_EACH_CALL]
    keys = [each.removeprefix(KEY_PROTOCOL) for each in _offered(exchange) if each.startswith(KEY_PROTOCOL)]
    return [*given, *(("authorization", f"Bearer {key}") for key in keys)]


def _accepted(exchange: Exchange) -> Headers:
    token = generate_accept_token(exchange.header("sec-websocket-key").encode()).decode()
    headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", token)]
    return [*headers, ("sec-websocket-protocol", PROTOCOL)] if PROTOCOL in _offered(exchange) else headers
