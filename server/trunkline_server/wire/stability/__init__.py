"""Stability AI: pictures and films, no chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.chatless import Chatless
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.stability import failures
from trunkline_server.wire.stability.routes import ROUTES


class Balance(Struct):
    """What is left of the account's credits; whatever the number, the key is good."""

    credits: float


_BALANCE: Final = msgspec.json.Decoder(Balance)


@dataclass(frozen=True)
class Stability(Chatless):
    """The wire. There is no list of models to ask for: they are places; the balance proves the key."""

    name: str = "stability"

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", "/v1/user/balance", {"accept": "application/json"})

    def decode_models(self, body: bytes) -> list[str]:
        dialect.parse(_BALANCE, body)
        return list(ROUTES)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)
