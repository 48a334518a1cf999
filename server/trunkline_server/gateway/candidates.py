"""Who may answer a call, best first: what its name means, what stands behind it, what the caller puts there instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from trunkline_server.core.call import Call, Caller
from trunkline_server.core.errand import Input
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.gateway.choice import Choice
from trunkline_server.gateway.routes import Chain, Route, Routes, not_allowed
from trunkline_server.gateway.strategies import PRIORITY, Strategies
from trunkline_server.gateway.work import Work

PriceOf: TypeAlias = Callable[[Work[Any, Any], Route], int | None]

_MISSING: Final = frozenset((Reason.PROVIDER_DISABLED, Reason.MODEL_NOT_ALLOWED))


class Candidates:
    """Lists them; a call then takes one after the other."""

    def __init__(self, routes: Routes, strategies: Strategies) -> None:
        self.routes = routes
        self._strategies = strategies

    def of(self, call: Call, work: Work[Any, Any], *, price_of: PriceOf) -> Choice:
        """Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED, VALIDATION."""
        chain = self._chain(call.caller, work.input)
        strategy = work.input.routing.strategy or self._strategies.default
        if strategy == PRIORITY or len(chain.routes) == 1:
            return Choice(chain.whole, work)
        ordered = self._strategies.order(
            strategy, work.input.model, chain.routes, price_of=partial(price_of, work), streaming=work.streaming
        )
        return Choice((*ordered, *chain.whole[len(ordered) :]), work)

    def first(self, call: Call, input: Input) -> Route:
        """The first as they are listed. Raises as `of` does."""
        return self._chain(call.caller, input).whole[0]

    def able(self, caller: Caller, work: Work[Any, Any]) -> list[str]:
        """The providers that are on for a caller and can do all that work needs."""
        needed, providers = work.needs().capabilities, self.routes.providers(caller)
        return sorted(name for name, provider in providers.items() if needed <= provider.capabilities)

    def _chain(self, caller: Caller, input: Input) -> Chain:
        chain = self.routes.chain(input.model, caller)
        if not (caller.allowed_models or input.HasField("routing")):
            return chain
        return self._narrowed(self._own(chain, caller, input), caller, input)

    def _own(self, chain: Chain, caller: Caller, input: Input) -> Chain:
        """With the caller's own fallbacks in place of the operator's."""
        names = input.routing.fallback_models
        if not names:
            return chain
        named = [route for name in names if (route := self._find(name, caller))]
        return Chain.of(chain.routes[: chain.meant], named)

    def _find(self, name: str, caller: Caller) -> Route | None:
        """What a fallback means; None where its provider is off, or the key may not use it."""
        try:
            return self.routes.find(name, caller)
        except TrunklineError as error:
            if error.reason in _MISSING:
                return None
            raise

    def _narrowed(self, chain: Chain, caller: Caller, input: Input) -> Chain:
        """Without what the key may not use, and what the call does not want."""
        meant = chain.routes[: chain.meant]
        if caller.allowed_models and not any(caller.may_use(route.provider, route.model) for route in meant):
            raise not_allowed(input.model)
        routing = input.routing

        def is_wanted(route: Route) -> bool:
            named = not routing.allowed_providers or route.provider in routing.allowed_providers
            return named and route.provider not in routing.denied_providers

        wanted = chain.filtered(lambda route: caller.may_use(route.provider, route.model) and is_wanted(route))
        if not wanted.whole:
            raise invalid("input.routing", "leaves no provider that has the model")
        return wanted
