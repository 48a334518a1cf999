"""How much may be spent in a time, and how much was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from trunkline.aio.connection import AsyncConnection
from trunkline.amounts import CREDIT, Unit, of_credits
from trunkline.spending import Period, Spending, period_of
from trunkline.v1 import limits_pb2, limits_pb2_grpc


class AsyncBudgets:
    """Of a tenant; what they count is chosen by user, provider, model, team. `*` counts each value apart."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stub = limits_pb2_grpc.LimitServiceStub(connection.channel)

    async def set(
        self,
        name: str,
        amount: Decimal | int | str,
        *,
        period: Period,
        unit: Unit = CREDIT,
        user: str = "",
        provider: str = "",
        model: str = "",
        team: str = "",
        hard: bool = False,
        thresholds: Sequence[int] = (),
        time_zone: str = "",
        spike_percent: int = 0,
    ) -> limits_pb2.Budget:
        """Makes one, or changes it. `hard`: a call that could spend more is refused, else told at `thresholds`."""
        budget = limits_pb2.Budget(
            name=name,
            selector=limits_pb2.LimitSelector(user_id=user, provider=provider, model=model, team=team),
            period=period_of(period),
            time_zone=time_zone,
            amount=of_credits(amount, unit),
            hard=hard,
            thresholds=thresholds,
            spike_percent=spike_percent,
        )
        return (await self._connection.look(self._stub.SetBudget, limits_pb2.SetBudgetRequest(budget=budget))).budget

    async def list(self) -> AsyncIterator[limits_pb2.Budget]:
        """By name."""
        async for page in self._connection.pages(self._stub.ListBudgets, limits_pb2.ListBudgetsRequest()):
            for budget in page.budgets:
                yield budget

    async def spending(
        self, *, user: str = "", provider: str = "", model: str = "", team: str = ""
    ) -> Sequence[Spending]:
        """Of every budget that such a call would come under and something was spent of."""
        request = limits_pb2.GetQuotaRequest(user_id=user, provider=provider, model=model, team=team)
        told = await self._connection.look(self._stub.GetQuota, request, user=user)
        return [Spending(window) for window in told.budget_windows]

    async def delete(self, name: str) -> None:
        await self._connection.look(self._stub.DeleteBudget, limits_pb2.DeleteBudgetRequest(name=name))
