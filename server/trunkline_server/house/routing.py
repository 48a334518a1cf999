"""From the settings to routes: models and prices, providers, breakers, strategies."""

from __future__ import annotations

from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.config import ModelSection, ProviderSection, Settings
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.model import ModelEntry, configured_model
from trunkline_server.core.money import from_decimal_text
from trunkline_server.gateway.breakers import BreakerRules
from trunkline_server.gateway.line import LineSettings
from trunkline_server.gateway.lines import Lines
from trunkline_server.gateway.routes import Fallbacks, Routes
from trunkline_server.gateway.strategies import Strategies
from trunkline_server.house.start import StartError
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.registry import Registry

MODEL_FILES: Final = ("models.json", "sandbox.json", "ollama.json")


def open_routes(settings: Settings, stack: AsyncExitStack) -> Routes:
    """What is known of models before anything was learned."""
    calls_max = settings.routing.provider_calls_max
    client = ClientSettings(read_timeout_s=settings.chat.unary_timeout_s, connections_max=calls_max)
    registry = Registry(settings.provider_settings, client)
    stack.push_async_callback(registry.close)
    fallbacks = Fallbacks(settings.routing.chains, settings.routing.universal_fallback)
    return Routes(catalogue_of(settings), registry, Lines(_lines(settings)), fallbacks)


def require_known_chains(routes: Routes) -> None:
    """Raises StartError for a chain that names nothing; models and aliases have been learned by then."""
    if unknown := routes.unknown_fallbacks():
        raise StartError(f"routing.chains: {unknown[0]!r} is neither a model nor a provider, nor an alias")


def catalogue_of(settings: Settings) -> Catalogue:
    """What the files and the settings say of models and prices."""
    data = files("trunkline_server.data")
    return Catalogue.load([data.joinpath(name).read_bytes() for name in MODEL_FILES], _own_models(settings))


def strategies_of(settings: Settings) -> Strategies:
    name = f"ROUTING_STRATEGY_{settings.routing.strategy.upper()}"
    return Strategies(chat_pb2.RoutingStrategy.Value(name), settings.routing.weights)


def _lines(settings: Settings) -> LineSettings:
    given = settings.breakers
    rules = BreakerRules(
        down_in_row_max=given.failures_in_row_max,
        calls_min=given.calls_min,
        failure_ratio=given.failure_ratio,
        slow_ratio=given.slow_ratio,
        open_s=given.open_s,
        open_s_max=given.open_s_max,
    )
    calls_max = settings.routing.provider_calls_max
    return LineSettings(rules, given.slow_first_word_s, given.slow_answer_s, calls_max, given.open_s_max)


def _own_models(settings: Settings) -> list[ModelEntry]:
    """What the operator says about the models of the servers of their own."""
    own = []
    for name, provider in settings.providers.items():
        own += [_own_model(name, provider, model) for model in provider.models]
        if provider.free:
            own.append(configured_model(name, None, free=True))
    return own


def _own_model(provider: str, given: ProviderSection, model: ModelSection) -> ModelEntry:
    prices = {"input": model.input_price, "output": model.output_price}
    units = {unit: from_decimal_text(price) for unit, price in prices.items()} if model.input_price else None
    return configured_model(
        provider,
        model.name,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        units=units,
        free=given.free and units is None,
    )
