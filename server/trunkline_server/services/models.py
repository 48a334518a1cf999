"""ModelService: the catalogue as callers see it, and the price list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from trunkline.v1 import models_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.pricing import Price
from trunkline_server.gateway.routes import Routes
from trunkline_server.providers.provider import Provider


@dataclass(frozen=True)
class ModelService:
    """Everything is in memory."""

    routes: Routes
    tokens: PageTokens

    async def list_models(self, call: Call, request: models_pb2.ListModelsRequest) -> models_pb2.ListModelsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = [
            entry
            for entry in self.routes.catalogue.listing(request.provider)
            if entry.provider in self.routes.registry.enabled
            and call.caller.may_use(entry.provider, entry.model)
            and _behind(paging.cursor, entry)
        ]
        page, token = paging.cut(rows, lambda entry: (entry.provider, entry.model))
        return models_pb2.ListModelsResponse(models=map(self._listed, page), next_page_token=token)

    async def get_model(self, call: Call, request: models_pb2.GetModelRequest) -> models_pb2.GetModelResponse:
        route = self.routes.find(request.name, call.caller)
        model = _model(route.upstream.provider, route.model, route.entry, route.price)
        return models_pb2.GetModelResponse(model=model)

    async def list_prices(self, call: Call, request: models_pb2.ListPricesRequest) -> models_pb2.ListPricesResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = [
            (entry, place)
            for entry in self.routes.catalogue.listing(request.provider)
            for place in range(len(entry.prices))
            if _behind(paging.cursor, entry, place)
        ]
        page, token = paging.cut(rows, lambda row: (row[0].provider, row[0].model, row[1]))
        prices = [_price(entry.provider, entry.model, entry.prices[place]) for entry, place in page]
        return models_pb2.ListPricesResponse(prices=prices, next_page_token=token)

    def _listed(self, entry: ModelEntry) -> models_pb2.Model:
        provider = self.routes.registry.upstream(entry.provider).provider
        return _model(provider, entry.model, entry, entry.price_on(datetime.now(UTC).date()))


def _behind(cursor: Sequence[object] | None, entry: ModelEntry, *place: int) -> bool:
    return not cursor or (entry.provider, entry.model, *place) > tuple(cursor)


def _model(provider: Provider, name: str, entry: ModelEntry | None, price: Price | None) -> models_pb2.Model:
    """A model by the name that a call uses; without an entry it is one that we do not know."""
    return models_pb2.Model(
        name=f"{provider.name}/{name}",
        provider=provider.name,
        provider_model=name,
        display_name=entry.display_name if entry else "",
        capabilities=sorted(provider.wire.capabilities),
        context_window=entry.context_window if entry else 0,
        max_output_tokens=entry.max_output_tokens if entry else 0,
        price=_price(provider.name, name, price) if price else None,
    )


def _price(provider: str, model: str, price: Price) -> models_pb2.Price:
    return models_pb2.Price(
        provider=provider,
        model=model,
        price_version=price.version,
        effective_time=timestamp(datetime.combine(price.effective_from, time(), UTC)),
        units=_units(price),
    )


def _units(price: Price) -> Iterator[models_pb2.UnitPrice]:
    for tier in price.tiers:
        for unit, nanos in tier.units.items():
            yield models_pb2.UnitPrice(
                unit=unit, per_million=money.usd(nanos), from_input_tokens=tier.from_input_tokens
            )
