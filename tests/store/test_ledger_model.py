"""The ledger beside a model of it in plain Python: any sequence of steps gives the same answers and the same books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from trunkline_server.store.holds import Entry, Reserved
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.reconciliation import examine
from trunkline_server.store.upkeep import Upkeep

T = TypeVar("T")

GRANT = 1000
FIRST_END = datetime.now(UTC) + timedelta(days=1)
END_NEXT = """
UPDATE credit SET expires_at = clock_timestamp() - interval '1 s' WHERE transfer_id = (
    SELECT transfer_id FROM credit WHERE account_id = $1 AND remaining > 0 AND expires_at > clock_timestamp()
    ORDER BY expires_at LIMIT 1)
"""
REMAINING = "SELECT remaining FROM credit WHERE account_id = $1 ORDER BY expires_at, transfer_id"
NOTE_NEXT = "UPDATE account SET lapse_at = ledger_lapse_at(id) WHERE id = $1"
AMOUNTS = st.integers(0, 700)


@dataclass
class ModelHold:
    amount: int
    state: str = "held"
    charged: int = 0
    late: bool = False
    refunded: int = 0


@dataclass
class ModelCredit:
    """Credits with an end, in the order of their ends."""

    remaining: int
    over: bool = False


class Model:
    """What the account should be."""

    def __init__(self) -> None:
        self.balance = GRANT
        self.overdraft = 0
        self.unlimited = False
        self.suspended = False
        self.holds: dict[Reserved, ModelHold] = {}
        self.grants: dict[str, int] = {}
        self.credits: list[ModelCredit] = []

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.state == "held")

    def post(self, amount: int) -> None:
        """What is spent is taken from the credits that end first."""
        self.balance += amount
        for credit in self.credits:
            taken = max(0, min(credit.remaining, -amount))
            credit.remaining -= taken
            amount += taken

    def lapse(self) -> None:
        """Credits that are over go, but for what is held."""
        for credit in self.credits:
            gone = min(credit.remaining, self.balance - self.held) if credit.over else 0
            if gone > 0:
                credit.remaining -= gone
                self.balance -= gone

    def refusal(self, amount: int) -> str:
        if self.suspended:
            return Reason.ACCOUNT_SUSPENDED
        enough = self.unlimited or self.balance - self.held + self.overdraft >= amount
        return "" if enough else Reason.CREDIT_INSUFFICIENT

    def close(self, hold: ModelHold, state: str, charge: int = 0) -> None:
        late = hold.state == "expired" and state == "settled" and not hold.late
        if hold.state == "held" or late:
            hold.state, hold.charged, hold.late = "expired" if late else state, charge, late
            self.post(-charge)


class LedgerMachine(RuleBasedStateMachine):
    """Every rule asks both and compares."""

    url = ""
    holds: Bundle[Reserved] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.ends = 0
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
        self.model.lapse()
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

    @rule(end=st.integers(1, 5), amount=st.sampled_from([50, 300]))
    def grant_with_an_end(self, end: int, amount: int) -> None:
        """Ends that are drawn later are later, so that the model's order is that of the ends."""
        self.ends += end
        until = FIRST_END + timedelta(days=self.ends)
        self.run(self.ledger.grant(self.till.owner, amount, f"until {until}", expires_at=until))
        self.model.balance += amount
        self.model.credits.append(ModelCredit(min(amount, max(0, self.model.balance))))

    @rule(count=st.integers(1, 3), at_once=st.integers(1, 3))
    def end_credits(self, count: int, at_once: int) -> None:
        for credit in [credit for credit in self.model.credits if not credit.over and credit.remaining][:count]:
            credit.over = True
            self.run(self.database.execute(END_NEXT, self.account_id))
        self.run(self.database.execute(NOTE_NEXT, self.account_id))
        upkeep = Upkeep(self.database, timedelta(days=30))

        async def gathered() -> None:
            await asyncio.gather(*(upkeep.lapse_credits() for _ in range(at_once)))

        self.run(gathered())
        self.model.lapse()

    @rule(amount=st.integers(-400, 400).filter(bool))
    def adjust(self, amount: int) -> None:
        self.run(self.ledger.adjust(self.till.tenant_id, self.account_id, amount, new_uuid().hex, "a test"))
        self.model.post(amount)

    @rule(hold=holds, amount=st.none() | st.integers(1, 500), at_once=st.integers(1, 3))
    def refund(self, hold: Reserved, amount: int | None, at_once: int) -> None:
        """As many of those that come together succeed as there is left of the charge."""
        answers = [self.asked(call) for call in self.refunds(hold, amount, at_once)]
        expected = self.model.holds.get(hold)
        for answer in answers:
            left = expected.charged - expected.refunded if expected else 0
            given = left if amount is None else amount
            if expected is None:
                assert answer == Reason.RESOURCE_NOT_FOUND
            elif given > left or not given:
                assert answer == Reason.VALIDATION
            else:
                assert not isinstance(answer, str)
                assert answer.amount == given
                expected.refunded += given
                self.model.balance += given

    def refunds(self, hold: Reserved, amount: int | None, count: int) -> list[Awaitable[Entry]]:
        return [self.ledger.refund(self.till.tenant_id, hold.hold_id, amount, new_uuid().hex) for _ in range(count)]

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
    def credits_with_an_end_are_as_modelled(self) -> None:
        rows = self.run(self.database.fetch(REMAINING, self.account_id))
        assert [row[0] for row in rows if row[0]] == [each.remaining for each in self.model.credits if each.remaining]

    @rule()
    def audit_what_is_new(self) -> None:
        assert self.run(examine(self.database, whole=False)).findings == []

    def teardown(self) -> None:
        assert self.run(self.ledger.audit()) == []
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
