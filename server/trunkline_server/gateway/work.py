"""What is asked for: the part of a call that depends on its kind, while the way of all calls is the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import orjson

from trunkline.v1 import guard_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.guard.shield import Shield
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.needs import Needs
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.terms import Offer, Terms

if TYPE_CHECKING:
    from trunkline_server.gateway.run import Run

RunT_co = TypeVar("RunT_co", bound="Run[Any]", covariant=True)


@dataclass(frozen=True, slots=True)
class Work(ABC, Generic[InputT, RunT_co]):
    """`streaming`: the caller hears the answer while it is made. `shield`: what it goes through."""

    input: InputT
    streaming: bool = False
    shield: Shield | None = None

    @property
    @abstractmethod
    def operation(self) -> Operation: ...

    @property
    @abstractmethod
    def run_type(self) -> type[RunT_co]:
        """What goes through the gateway for it."""

    @abstractmethod
    def needs(self) -> Needs:
        """What it takes to do it."""

    @abstractmethod
    def input_tokens(self) -> int:
        """How much there is to read, estimated."""

    @abstractmethod
    def offer(self, route: Route, terms: Terms, *, charged: bool) -> Offer:
        """The most that it can cost there. Raises PRICE_UNKNOWN for a charged caller, CAPABILITY_UNSUPPORTED."""

    @abstractmethod
    def errand(self, call: Call, offer: Offer) -> Errand[InputT]:
        """It as the provider of an offer gets it."""

    @abstractmethod
    def shielded(self, shield: Shield) -> Self:
        """It with what a provider may see. Raises CONTENT_BLOCKED, PII_DETECTED."""

    @property
    def guard(self) -> guard_pb2.Guard | None:
        """What this call keeps out by its own word."""
        return None

    def limit_tokens(self, offer: Offer) -> int:
        """What rate limits take it for until its bill is known."""
        return offer.input_tokens

    def options(self, provider: str) -> Mapping[str, object]:
        """The caller's further fields for a provider."""
        given = self.input.provider_options_json
        options: Mapping[str, object] = orjson.loads(given[provider]) if provider in given else {}
        return options
