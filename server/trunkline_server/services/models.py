"""ModelService: the catalogue as callers see it, and what operators say about models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trunkline.v1 import models_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.price_request import price_of
from trunkline_server.core.pricing import Price
from trunkline_server.core.text import readable
from trunkline_server.gateway.learning import Learning
from trunkline_server.gateway.routes import Routes
from trunkline_server.gateway.sync import ASK_S_MAX, Sync, Synced
from trunkline_server.providers.abilities import abilities_of
from trunkline_server.providers.provider import Provider

NOTING_S: Final = 2.0
"""What is left of a call's time, when providers have been asked."""


@dataclass(frozen=True)
class ModelService:
    """Reading needs no database: everything is in memory. Who has changed something sees it changed at once."""

    routes: Routes
    tokens: PageTokens
    learning: Learning
    sync: Sync

    async def list_models(self, call: Call, request: models_pb2.ListModelsRequest) -> models_pb2.ListModelsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        providers = self.routes.providers(call.caller)
        rows = [
            entry
            for entry in self.routes.listing(call.caller, request.provider)
            if entry.provider in providers
            and call.caller.may_use(entry.provider, entry.model)
            and _behind(paging.cursor, entry)
        ]
        page, token = paging.cut(rows, lambda entry: (entry.provider, entry.model))
        models = [_listed(providers[entry.provider], entry) for entry in page]
        return models_pb2.ListModelsResponse(models=models, next_page_token=token)

    async def get_model(self, call: Call, request: models_pb2.GetModelRequest) -> models_pb2.GetModelResponse:
        route = self.routes.find(request.name, call.caller)
        model = _model(route.upstream.provider, route.model, route.entry, route.price)
        return models_pb2.GetModelResponse(model=model)

    async def list_prices(self, call: Call, request: models_pb2.ListPricesRequest) -> models_pb2.ListPricesResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = [
            (entry, place)
            for entry in self.routes.listing(call.caller, request.provider)
            for place in range(len(entry.prices))
            if _behind(paging.cursor, entry, place)
        ]
        page, token = paging.cut(rows, lambda row: (row[0].provider, row[0].model, row[1]))
        prices = [_price(entry.provider, entry.model, entry.prices[place]) for entry, place in page]
        return models_pb2.ListPricesResponse(prices=prices, next_page_token=token)

    async def sync_models(self, call: Call, request: models_pb2.SyncModelsRequest) -> models_pb2.SyncModelsResponse:
        self._require_provider(request.provider)
        asked = [request.provider] if request.provider else self.routes.registry.enabled
        left_s = call.deadline - asyncio.get_running_loop().time() - NOTING_S
        synced = await self.sync.run(asked, min(ASK_S_MAX, max(left_s, 0)))
        return models_pb2.SyncModelsResponse(providers=map(_synced, synced))

    async def list_model_aliases(
        self, call: Call, request: models_pb2.ListModelAliasesRequest
    ) -> models_pb2.ListModelAliasesResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        aliases = self.routes.catalogue.aliases
        rows = [alias for alias in sorted(aliases) if not paging.cursor or alias > paging.cursor[0]]
        page, token = paging.cut(rows, lambda alias: (alias,))
        listed = [models_pb2.ModelAlias(alias=alias, models=aliases[alias]) for alias in page]
        return models_pb2.ListModelAliasesResponse(aliases=listed, next_page_token=token)

    async def set_model_alias(
        self, call: Call, request: models_pb2.SetModelAliasRequest
    ) -> models_pb2.SetModelAliasResponse:
        for place, name in enumerate(request.models):
            self._require_model(call, readable(f"models[{place}]", name))
        await self.learning.aliases.set(request.alias, request.models, call.caller.principal)
        await self.learning.refresh()
        alias = models_pb2.ModelAlias(alias=request.alias, models=request.models)
        return models_pb2.SetModelAliasResponse(alias=alias)

    async def delete_model_alias(
        self, call: Call, request: models_pb2.DeleteModelAliasRequest
    ) -> models_pb2.DeleteModelAliasResponse:
        if self.routes.stands_in_a_chain(readable("alias", request.alias)):
            raise invalid("alias", "stands in routing.chains: take it out there first")
        await self.learning.aliases.delete(request.alias)
        await self.learning.refresh()
        return models_pb2.DeleteModelAliasResponse()

    async def set_price(self, call: Call, request: models_pb2.SetPriceRequest) -> models_pb2.SetPriceResponse:
        self._require_provider(request.provider)
        if readable("model", request.model) == "*":
            raise invalid("model", "must be one model: say in the settings what all of a provider's models cost")
        price = price_of(request, call.caller.principal)
        await self.learning.prices.add(request.provider, request.model, price, call.caller.principal)
        await self.learning.refresh()
        return models_pb2.SetPriceResponse(price=_price(request.provider, request.model, price))

    def _require_provider(self, name: str) -> None:
        if name and self.routes.registry.find(name) is None:
            raise not_found("provider", name)

    def _require_model(self, call: Call, name: str) -> None:
        """What nobody can call is refused; a provider that is off may be on later."""
        try:
            self.routes.find_model(name, call.caller)
        except TrunklineError as error:
            if error.reason is not Reason.PROVIDER_DISABLED:
                raise


def _behind(cursor: Sequence[object] | None, entry: ModelEntry, *place: int) -> bool:
    return not cursor or (entry.provider, entry.model, *place) > tuple(cursor)


def _listed(provider: Provider, entry: ModelEntry) -> models_pb2.Model:
    return _model(provider, entry.model, entry, entry.price_at(datetime.now(UTC)))


def _model(provider: Provider, name: str, entry: ModelEntry | None, price: Price | None) -> models_pb2.Model:
    """A model by the name that a call uses; without an entry it is one that we do not know."""
    return models_pb2.Model(
        name=f"{provider.name}/{name}",
        provider=provider.name,
        provider_model=name,
        display_name=entry.display_name if entry else "",
        capabilities=sorted(abilities_of(provider, price)),
        context_window=entry.context_window if entry else 0,
        max_output_tokens=entry.max_output_tokens if entry else 0,
        price=_price(provider.name, name, price) if price else None,
    )


def _price(provider: str, model: str, price: Price) -> models_pb2.Price:
    return models_pb2.Price(
        provider=provider,
        model=model,
        price_version=price.version,
        effective_time=timestamp(price.effective_time),
        units=_units(price),
        source=price.source,
    )


def _units(price: Price) -> Iterator[models_pb2.UnitPrice]:
    for tier in price.tiers:
        for unit, nanos in tier.units.items():
            yield models_pb2.UnitPrice(
                unit=unit, per_million=money.usd(nanos), from_input_tokens=tier.from_input_tokens
            )


def _synced(synced: Synced) -> models_pb2.SyncedProvider:
    told = models_pb2.SyncedProvider(provider=synced.provider, model_count=synced.model_count)
    if synced.failure is not None:
        told.failure_kind, told.http_status = synced.failure.kind.value, synced.failure.http_status
    if synced.difference is not None:
        told.added.extend(synced.difference.added)
        told.changed.extend(synced.difference.changed)
        told.gone.extend(synced.difference.gone)
    told.prices.extend(_price(synced.provider, model, price) for model, price in sorted(synced.prices.items()))
    return told
