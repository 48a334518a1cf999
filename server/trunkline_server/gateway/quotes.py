"""What chats would cost, and whether they would be admitted; nothing is held for the answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from trunkline.v1 import chat_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason
from trunkline_server.core.pricing import bill
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.terms import Offer, Terms
from trunkline_server.store.accounts import Account, Accounts

if TYPE_CHECKING:
    from trunkline_server.gateway.admission import Admission


@dataclass(frozen=True, slots=True)
class Quote:
    """Of one call, as if it were the only one."""

    offer: Offer
    account: Account
    least_nanos: int
    denial: str
    """The reason that it would fail with."""

    def message(self) -> chat_pb2.QuoteResponse:
        price, account = self.offer.route.price, self.account
        return chat_pb2.QuoteResponse(
            input_tokens=self.offer.input_tokens,
            max_output_tokens=self.offer.max_output_tokens,
            least=money.credits(self.least_nanos),
            most=money.credits(self.offer.most_nanos),
            allowed=not self.denial,
            denial_reason=self.denial,
            available=None if account.unlimited else money.credits(account.available_nanos),
            price_version=price.version if price else "",
            price_source=price.source if price else "",
        )


class Quotes:
    """Asks admission what it would ask for."""

    def __init__(self, admission: Admission, accounts: Accounts, terms: Terms) -> None:
        self._admission = admission
        self._accounts = accounts
        self._terms = terms

    async def of(self, call: Call, input: chat_pb2.ChatInput) -> Quote:
        """Raises what keeps the call from a price: MODEL_NOT_FOUND, PRICE_UNKNOWN and their like."""
        route = self._admission.candidates.first(call, input)
        ref = await self._admission.account(call, route)
        offer = self._admission.offer(ChatWork(input), route, charged=not ref.unlimited)
        account = await self._accounts.get(ref.tenant_id, ref.id)
        return Quote(offer, account, self._least_nanos(offer), _denial(input, offer, account))

    def _least_nanos(self, offer: Offer) -> int:
        if offer.route.price is None:
            return 0
        usage = usage_pb2.Usage(input_tokens=offer.input_tokens, output_tokens=1)
        return bill(offer.route.price, usage, self._terms.credits_per_usd_nanos).charge_nanos


def together(quotes: Iterable[Quote]) -> str:
    """Why not all of the calls can be made at once; empty where they can. Each account covers its own."""
    most_nanos: defaultdict[UUID, int] = defaultdict(int)
    accounts: dict[UUID, Account] = {}
    for quote in quotes:
        if quote.denial:
            return quote.denial
        accounts[quote.account.id] = quote.account
        most_nanos[quote.account.id] += quote.offer.most_nanos
    covered = all(_covers(account, most_nanos[account_id]) for account_id, account in accounts.items())
    return "" if covered else Reason.CREDIT_INSUFFICIENT.value


def _denial(input: chat_pb2.ChatInput, offer: Offer, account: Account) -> str:
    if account.suspended:
        return Reason.ACCOUNT_SUSPENDED.value
    too_dear = input.HasField("max_cost") and offer.most_nanos > input.max_cost.nanos
    return Reason.CREDIT_INSUFFICIENT.value if too_dear or not _covers(account, offer.most_nanos) else ""


def _covers(account: Account, most_nanos: int) -> bool:
    return account.unlimited or most_nanos <= account.available_nanos
