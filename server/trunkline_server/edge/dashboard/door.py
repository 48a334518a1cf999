"""`/dashboard`: pages that need nothing from elsewhere, signing in with an API key, and the services behind them.

A page of another site gets nowhere: its requests come without the cookie, and could not carry the header that is asked
for here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import orjson

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.edge.calls import Calls
from trunkline_server.edge.dashboard.files import INDEX, SAFE, File, bundled
from trunkline_server.edge.dashboard.sessions import PATH, Sessions
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.origin import is_own
from trunkline_server.edge.reading import decode
from trunkline_server.edge.router import JSON, Route
from trunkline_server.edge.rpc.door import RpcDoor
from trunkline_server.edge.rpc.errors import spell
from trunkline_server.edge.status import http_status

SCOPE: Final = "analytics:read"
"""Who may look at it at all; each part needs the scope of its own calls beside."""
MARK: Final = "x-trunkline-dashboard"
_API: Final = f"{PATH}/api"
_SIGN_IN_BYTES_MAX: Final = 4096
_OURS: Final = frozenset(("authorization", "x-api-key", "cookie"))
_FRESH: Final = (("cache-control", "no-store"), *SAFE)


class SignIn(msgspec.Struct, frozen=True):
    """What is sent to sign in."""

    api_key: str


@dataclass(frozen=True, slots=True)
class DashboardDoor:
    """Calls go the way of all JSON calls, with the key of the session."""

    calls: Calls
    rpcs: RpcDoor
    sessions: Sessions
    files: dict[str, File] = field(default_factory=lambda: dict(bundled()))

    def routes(self) -> list[Route]:
        return [
            Route("GET", PATH, self.moved),
            Route("GET", f"{PATH}/*", self.file),
            Route("GET", f"{PATH}/session", self.who),
            Route("POST", f"{PATH}/session", self.sign_in),
            Route("POST", f"{PATH}/session/end", self.sign_out),
            Route("POST", f"{_API}/*", self.call),
        ]

    async def moved(self, exchange: Exchange) -> None:
        exchange.respond(Reply(308, (("location", f"{PATH}/"),)))

    async def file(self, exchange: Exchange) -> None:
        found = self.files.get(exchange.path.removeprefix(f"{PATH}/") or INDEX)
        exchange.respond(found.reply(exchange) if found else _refused(404, "not_found", "there is no such file"))

    async def who(self, exchange: Exchange) -> None:
        """Whether somebody is signed in."""
        api_key = self.sessions.api_key(exchange.header("cookie"))
        try:
            await self._identify(api_key or "")
        except TrunklineError as error:
            if error.reason is Reason.STORE_UNAVAILABLE:
                exchange.respond(_told(error))
                return
            api_key = None
        exchange.respond(Reply(200, (*JSON, *_FRESH), orjson.dumps({"signed_in": api_key is not None})))

    async def sign_in(self, exchange: Exchange) -> None:
        try:
            _require_own_page(exchange)
            given = decode(await exchange.body(_SIGN_IN_BYTES_MAX), SignIn).api_key
            await self._identify(given)
        except TrunklineError as error:
            exchange.respond(_told(error))
        else:
            exchange.respond(_with_cookie(self.sessions.begin(given, secure=exchange.is_secure)))

    async def sign_out(self, exchange: Exchange) -> None:
        try:
            _require_own_page(exchange)
        except TrunklineError as error:
            exchange.respond(_told(error))
        else:
            exchange.respond(_with_cookie(self.sessions.end(secure=exchange.is_secure)))

    async def call(self, exchange: Exchange) -> None:
        """Any method of the contract."""
        api_key = self.sessions.api_key(exchange.header("cookie"))
        try:
            _require_own_page(exchange)
            if api_key is None:
                raise TrunklineError(Reason.AUTH_MISSING, "sign in again")
        except TrunklineError as error:
            exchange.respond(_told(error))
            return
        headers = [pair for pair in exchange.head.headers if pair[0] not in _OURS]
        exchange.beside += _FRESH
        exchange.head = replace(
            exchange.head,
            path=exchange.path.removeprefix(_API),
            headers=[*headers, ("authorization", f"Bearer {api_key}")],
        )
        await self.rpcs.post(exchange)

    async def _identify(self, api_key: str) -> None:
        tokens = [f"Bearer {api_key}"] if api_key else []
        await self.calls.boundary.callers.identify(tokens, SCOPE)


def _require_own_page(exchange: Exchange) -> None:
    """Raises SCOPE_MISSING for requests that are not from these pages."""
    site = exchange.header("sec-fetch-site")
    if not exchange.header(MARK) or not is_own(exchange) or site not in ("", "same-origin"):
        raise TrunklineError(Reason.SCOPE_MISSING, "only pages of the dashboard may ask this")


def _with_cookie(cookie: str) -> Reply:
    return Reply(204, (("set-cookie", cookie), *_FRESH))


def _told(error: TrunklineError) -> Reply:
    return Reply(http_status(error), (*JSON, *_FRESH), spell(error, f"req_{new_uuid().hex}"))


def _refused(status: int, code: str, message: str) -> Reply:
    return Reply(status, (*JSON, *_FRESH), orjson.dumps({"code": code, "message": message}))
