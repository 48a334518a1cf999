"""What jobs of every kind say of themselves before they are made, and of who did them."""

from __future__ import annotations

from typing import Any

from trunkline_server.core.call import Call
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.jobs.kind import JobOffer
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.work import Work
from trunkline_server.store.accounts import AccountRef


async def offered(admission: Admission, call: Call, work: Work[Any, Any]) -> JobOffer:
    """Where work goes first, who pays, and how much at most. Raises what the call itself would."""
    return await offered_at(admission.candidates.first(call, work.input), admission, call, work)


async def offered_at(route: Route, admission: Admission, call: Call, work: Work[Any, Any]) -> JobOffer:
    """The same, where it is known where it goes."""
    account = await admission.account(call, route)
    return priced(route, account, admission.offer(work, route, charged=not account.unlimited).most_nanos)


def priced(route: Route, account: AccountRef, most_nanos: int) -> JobOffer:
    """At the price that counts there now."""
    version = route.price.version if route.price else ""
    return JobOffer(account, most_nanos, route.provider, route.model, version)


def fallback(first: Route, call: Call) -> str:
    """The model that did a call in place of the first; empty where that did it."""
    asked, did = (first.provider, first.model), (call.facts["provider"], call.facts["model"])
    return "" if asked == did else "/".join(map(str, did))
