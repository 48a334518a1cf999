"""Lists of models, as servers that speak the dialect write them: each has words of its own for what more it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from trunkline_server.core.offered import Offered, tokens
from trunkline_server.core.pricing import Tier
from trunkline_server.core.told_price import ImplausibleError, tiers_of
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.price_list import PriceList
from trunkline_server.wire.openai_chat.shapes import Shape

LIVE: Final = "live"


class TopProvider(Shape):
    """Who answers calls to a model at a router."""

    max_completion_tokens: float | None = None


class Host(Shape):
    """One of those that a router can pass calls on to."""

    provider: str = ""
    status: str = ""
    context_length: float | None = None


class Model(Shape):
    """An entry of the list."""

    id: str
    name: str | None = None
    context_length: float | None = None
    context_window: float | None = None
    max_context_length: float | None = None
    max_model_len: float | None = None
    max_completion_tokens: float | None = None
    top_provider: TopProvider | None = None
    providers: list[msgspec.Raw] | None = None

    def offered(self, hosts: list[Host]) -> Offered:
        told = (self.context_length, self.context_window, self.max_context_length, self.max_model_len)
        hosted = [each.context_length for each in hosts if each.context_length]
        output = self.max_completion_tokens or (self.top_provider or TopProvider()).max_completion_tokens
        window = next((each for each in (*told, *hosted) if each), None)
        return Offered(self.id, self.name or "", tokens(window), tokens(output))


class Models(Shape):
    """The list; some servers send its entries alone."""

    data: list[msgspec.Raw]


_MODELS: Final = msgspec.json.Decoder(Models | list[msgspec.Raw])
_MODEL: Final = msgspec.json.Decoder(Model)
_HOST: Final = msgspec.json.Decoder(Host)


def decode_models(body: bytes, prices: PriceList | None) -> list[Offered]:
    """What the list offers. Raises UpstreamFailure."""
    told = dialect.parse(_MODELS, body)
    entries = told.data if isinstance(told, Models) else told
    return [offered for entry in entries for offered in _offered(entry, prices)]


def _offered(entry: msgspec.Raw, prices: PriceList | None) -> Iterator[Offered]:
    model = dialect.parse(_MODEL, bytes(entry))
    hosts = [(dialect.parse(_HOST, bytes(each)), each) for each in model.providers or ()]
    offered = model.offered([host for host, _ in hosts])
    if prices is None:
        yield offered
    elif not prices.by_host:
        yield _priced(offered, entry, prices)
    else:
        live = [_priced(_at(offered, host), each, prices) for host, each in hosts if host.status == LIVE]
        yield offered._replace(tiers=_common(live))
        yield from (each for each in live if each.tiers or each.refused)


def _at(offered: Offered, host: Host) -> Offered:
    """The name that leads to one of a router's hosts."""
    return Offered(f"{offered.name}:{host.provider}", offered.display_name, tokens(host.context_length))


def _priced(offered: Offered, entry: msgspec.Raw, prices: PriceList) -> Offered:
    try:
        return offered._replace(tiers=tiers_of(offered.name, prices.read(bytes(entry)), prices.scale))
    except ImplausibleError as error:
        return offered._replace(refused=str(error))


def _common(hosted: list[Offered]) -> tuple[Tier, ...]:
    """What a call costs whoever answers it; nothing is known where that depends on whom the router chooses."""
    first = hosted[0].tiers if hosted else ()
    return first if all(each.tiers == first for each in hosted) else ()
