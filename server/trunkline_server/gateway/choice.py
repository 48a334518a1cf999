"""The candidates of one call that are left: gives out one after the other, and says which were passed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.breakers import Way
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.work import Work

ASKED_MAX: Final = 3
SHUT_OUT_SHARE: Final = 0.5
"""Of the candidates of a call, so many at most are passed over because they fail too often, or one."""


class Choice:
    """What a fallback can do is looked at only when it comes to that: most calls end with the first."""

    __slots__ = ("_asked", "_is_narrow", "_left", "_shut_out_max", "_work", "passed", "way")

    def __init__(self, routes: Sequence[Route], work: Work[Any, Any]) -> None:
        self._left = routes
        self._work = work
        self._is_narrow = False
        self._asked = 0
        self._shut_out_max = max(1, int(len(routes) * SHUT_OUT_SHARE))
        self.way = Way.DUE
        """How the candidate that was given out is to be entered."""
        self.passed: list[tuple[Route, Reason]] = []
        """Those that were passed over, and why."""

    @property
    def has_more(self) -> bool:
        return bool(self._left) and self._asked < ASKED_MAX

    def take(self) -> Route | None:
        """The next that may be asked; None where none is left. Raises CIRCUIT_OPEN where breakers alone forbid all."""
        if self._asked:
            self._narrow(0)
        while self.has_more:
            route = self._next()
            self.way = Way.DUE if route.line.may_pass() else Way.ANYWAY
            if self.way is Way.DUE or self._must_bear_with(route):
                self._asked += 1
                return route
            self.passed.append((route, Reason.CIRCUIT_OPEN))
            self._narrow(0)
        return self._early() if self._are_all_open else None

    def pass_over(self, route: Route, reason: Reason) -> None:
        """The candidate that was given out last was not asked after all."""
        self._asked -= 1
        self.passed.append((route, reason))

    def want_larger(self, than: Route) -> None:
        """The question does not fit there: only candidates with a larger context window are left."""
        self._left = [route for route in self._left if route.context_window > than.context_window > 0]

    def want_within(self, remaining_s: float, *, streaming: bool) -> None:
        """Only candidates that usually take no longer than that are left."""
        self._left = [
            route for route in self._left if (route.line.latency.typical_s(streaming=streaming) or 0.0) < remaining_s
        ]

    @property
    def upcoming(self) -> Route | None:
        """The candidate that is likely to be next; None where nobody else can be asked."""
        return next((route for route in self._left if route.line.may_pass()), None) if self.has_more else None

    def _must_bear_with(self, route: Route) -> bool:
        """It fails too often, and so do too many of the others: not all of the load goes to those that are left."""
        shut_out = sum(1 for each, _ in self.passed if each.line.fails_too_often)
        return route.line.fails_too_often and shut_out >= self._shut_out_max

    def _next(self) -> Route:
        """The first; one whose provider asked to be left alone only where there are no others."""
        route = self._left[0]
        if len(self._left) > 1 and route.line.is_cooling:
            self._narrow(1)
            route = next((each for each in self._left if not each.line.is_cooling), route)
        self._left = [each for each in self._left if each is not route]
        return route

    def _narrow(self, first: int) -> None:
        """From there on leave out what cannot answer such a question; what it may be too long for goes last."""
        if self._is_narrow or len(self._left) <= first:
            return
        self._is_narrow = True
        needs, tokens = self._work.needs(), self._work.input_tokens()
        able = [route for route in self._left[first:] if needs.met_by(route)]
        self._left = [*self._left[:first], *sorted(able, key=lambda route: 0 < route.context_window < tokens)]

    @property
    def _are_all_open(self) -> bool:
        return (
            self._asked == 0 and bool(self.passed) and all(reason is Reason.CIRCUIT_OPEN for _, reason in self.passed)
        )

    def _early(self) -> Route:
        """The candidate that is due soonest, as long as nobody else is just trying."""
        soonest = min((route for route, _ in self.passed), key=lambda route: route.line.due_in_s)
        if not soonest.line.may_pass(Way.EARLY):
            raise circuit_open(soonest.line.due_in_s)
        self.passed = [pair for pair in self.passed if pair[0] is not soonest]
        self._asked, self.way = 1, Way.EARLY
        return soonest


def circuit_open(due_in_s: float) -> TrunklineError:
    """Nobody is asked: all candidates failed lately."""
    retry_after_s = min(max(due_in_s, 1.0), 300.0)
    return TrunklineError(
        Reason.CIRCUIT_OPEN, "every provider of this model failed lately", retry_after_s=retry_after_s
    )
