"""What users may spend, and what they did."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from trunkline.amounts import of_credits, to_decimal
from trunkline.sync.connection import Connection
from trunkline.v1 import credits_pb2, credits_pb2_grpc
from trunkline.work import timestamp


class Credits:
    """Accounts of end users; without a user, that of the key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = credits_pb2_grpc.CreditServiceStub(connection.channel)

    def available(self, user: str = "") -> Decimal | None:
        """What a new call can spend; `None`: as much as it likes."""
        account = self.account(user)
        return to_decimal(account.available) if account.HasField("available") else None

    def balance(self, user: str = "") -> Decimal:
        """All that was granted, less all that was charged."""
        return to_decimal((self.account(user)).balance)

    def account(self, user: str = "", *, provider: str = "", model: str = "") -> credits_pb2.Account:
        """The account that a call would be charged to."""
        request = credits_pb2.GetBalanceRequest(user_id=user, provider=provider, model=model)
        return (self._connection.look(self._stub.GetBalance, request, user=user)).account

    def grant(
        self,
        user: str,
        credits: Decimal | int | str,
        *,
        reason: str = "",
        provider: str = "",
        model: str = "",
        expires: datetime | None = None,
        request_id: str = "",
    ) -> credits_pb2.Account:
        """Adds credits. The same `request_id` adds them once, however often it is sent."""
        request = credits_pb2.GrantCreditsRequest(
            user_id=user,
            amount=of_credits(credits),
            reason=reason,
            provider=provider,
            model=model,
            expire_time=timestamp(expires),
            request_id=request_id,
        )
        return (self._connection.look(self._stub.GrantCredits, request)).account

    def history(self, user: str = "") -> Iterator[credits_pb2.LedgerEntry]:
        """Every movement, newest first."""
        request = credits_pb2.ListLedgerEntriesRequest(user_id=user)
        for page in self._connection.pages(self._stub.ListLedgerEntries, request):
            for entry in page.entries:
                yield entry
