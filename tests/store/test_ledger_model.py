"""The ledger beside a model of it in plain Python: any sequence of steps gives the same answers and the same books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.fixtures.ledger import Till
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.accounts import NewAccounts
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.holds import Reserved
from trunkline_server.store.ledger import Ledger, LedgerSettings

T = TypeVar("T")

GRANT = 1000
AMOUNTS = st.integers(0, 700)


@dataclass
class ModelHold:
    amount: int
    state: str = "held"
    charged: int = 0
    late: bool = False


class Model:
    """What the account should be."""

    def __init__(self) -> None:
        self.balance = GRANT
        self.overdraft = 0
        self.unlimited = False
        self.suspended = False
        self.holds: dict[Reserved, ModelHold] = {}
        self.grants: dict[str, int] = {}

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.state == "held")

    def refusal(self, amount: int) -> str:
        if self.suspended:
            return Reason.ACCOUNT_SUSPENDED
        enough = self.unlimited or self.balance - self.held + self.overdraft >= amount
        return "" if enough else Reason.CREDIT_INSUFFICIENT

    def close(self, hold: ModelHold, state: str, charge: int = 0) -> None:
        late = hold.state == "expired" and state == "settled" and not hold.late
        if hold.state == "held" or late:
            hold.state, hold.charged, hold.late = "expired" if late else state, charge, late
            self.balance -= charge


class LedgerMachine(RuleBasedStateMachine):
    """Every rule asks both and compares."""

    url = ""
    holds: Bundle[Reserved] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.database = self.run(Database.open(DatabaseSettings(self.url)))
        self.ledger = self.run(Ledger.open(self.database, LedgerSettings(NewAccounts(GRANT))))
        self.till = Till(self.database, self.ledger)
        self.account_id = self.run(self.till.ref()).id

    def run(self, call: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await call

        return self.runner.run(wrapped())

    def asked(self, call: Awaitable[T]) -> T | str:
        try:
            return self.run(call)
        except TrunklineError as error:
            return error.reason.value

    def reserve_together(self, amounts: list[int]) -> list[Reserved | str]:
        async def gathered() -> list[Reserved | BaseException]:
            await self.till.ref()  # from here on it is known, and the calls keep their order
            return await asyncio.gather(*(self.till.reserve(amount) for amount in amounts), return_exceptions=True)

        answers = self.run(gathered())
        return [answer.reason.value if isinstance(answer, TrunklineError) else answer for answer in answers]  # type: ignore[misc]

    @rule(target=holds, amounts=st.lists(AMOUNTS, min_size=1, max_size=4))
    def reserve(self, amounts: list[int]) -> Reserved:
        last = None
        for amount, answer in zip(amounts, self.reserve_together(amounts), strict=True):
            assert self.model.refusal(amount) == (answer if isinstance(answer, str) else "")
            if not isinstance(answer, str):
                self.model.holds[answer] = ModelHold(amount)
                last = answer
        return last or Reserved(new_uuid(), self.account_id, 0, "held", 0)

    @rule(hold=holds, charge=st.integers(0, 1000))
    def settle(self, hold: Reserved, charge: int) -> None:
        self.closed(hold, "settled", charge)

    @rule(hold=holds)
    def release(self, hold: Reserved) -> None:
        self.closed(hold, "released")

    def closed(self, hold: Reserved, state: str, charge: int = 0) -> None:
        call = self.ledger.settle(hold, charge) if state == "settled" else self.ledger.release(hold)
        answer, expected = self.asked(call), self.model.holds.get(hold)
        if expected is None:
            assert answer == Reason.RESOURCE_NOT_FOUND
            return
        self.model.close(expected, state, charge)
        assert not isinstance(answer, str)
        assert (answer.state, answer.charged, answer.balance) == (expected.state, expected.charged, self.model.balance)

    @rule(hold=holds, more=st.integers(0, 300))
    def extend(self, hold: Reserved, more: int) -> None:
        answer, expected = self.asked(self.ledger.extend(hold, more)), self.model.holds.get(hold)
        if expected is None:
            assert answer == Reason.RESOURCE_NOT_FOUND
        elif expected.state != "held":
            assert answer == Reason.RESERVATION_CLOSED
        else:
            missing = max(0, hold.amount + more - expected.amount)
            refusal = self.model.refusal(missing) if missing else ""
            assert refusal == (answer if isinstance(answer, str) else "")
            expected.amount += 0 if refusal else missing

    @rule(hold=holds)
    def expire(self, hold: Reserved) -> None:
        expected = self.model.holds.get(hold)
        was_held = expected is not None and expected.state == "held"
        self.run(self.till.lapse(hold.hold_id))
        assert self.run(self.ledger.expire_due()) == was_held
        if expected is not None and was_held:
            expected.state = "expired"

    @rule(key=st.sampled_from(["g1", "g2", "g3"]), amount=st.sampled_from([100, 400]))
    def grant(self, key: str, amount: int) -> None:
        answer = self.asked(self.ledger.grant(self.till.owner, amount, key))
        if key not in self.model.grants:
            self.model.grants[key] = amount
            self.model.balance += amount
        assert (answer == Reason.IDEMPOTENCY_KEY_REUSED) == (self.model.grants[key] != amount)

    @rule(unlimited=st.booleans(), suspended=st.booleans(), overdraft=st.sampled_from([0, 250]))
    def update(self, unlimited: bool, suspended: bool, overdraft: int) -> None:
        change = self.ledger.accounts.update(
            self.till.tenant_id,
            self.account_id,
            unlimited=unlimited,
            suspended=suspended and self.model.balance > 0,
            overdraft_limit=overdraft,
        )
        account = self.run(change)
        self.model.unlimited, self.model.suspended = account.unlimited, account.suspended
        self.model.overdraft = overdraft

    @invariant()
    def the_account_is_as_modelled(self) -> None:
        account = self.run(self.till.account())
        assert (account.balance_nanos, account.held) == (self.model.balance, self.model.held)

    @invariant()
    def the_books_add_up(self) -> None:
        assert self.run(self.ledger.audit()) == []

    def teardown(self) -> None:
        self.run(self.ledger.close())
        self.run(self.database.close())
        self.runner.close()


@pytest.mark.slow
def test_the_ledger_is_as_its_model(postgres_url: str) -> None:
    LedgerMachine.url = postgres_url
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=10,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
