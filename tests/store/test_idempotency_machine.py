"""Any order of beginning, finishing, forgetting, dying and coming back late keeps one answer for each name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.idempotency import Fresh, Idempotency, Replay, Scope

KEYS = st.sampled_from(["a", "b"])
PRINTS = st.sampled_from([b"1", b"2"])
FENCES = st.integers(1, 3)
EXPIRE = (
    "UPDATE idempotency SET lease_until = clock_timestamp() - interval '1 second' WHERE key = $1 AND tenant_id = $2"
)


@dataclass
class Row:
    """What the model remembers of a name."""

    fingerprint: bytes
    fence: int = 1
    dead: bool = False
    result: Replay | None = None


class Machine(RuleBasedStateMachine):
    """Every step is done by the table and by a dict, and both must say the same."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.scope = Scope(new_uuid(), "key:abc", "/m", "")
        self.rows: dict[str, Row] = {}
        self.idempotency = Idempotency(self.database)

    @rule(key=KEYS, fingerprint=PRINTS)
    def begin(self, key: str, fingerprint: bytes) -> None:
        assert self._begun(key, fingerprint) == self._expected(key, fingerprint)

    @rule(key=KEYS, fence=FENCES, response=st.binary(max_size=3), failed=st.booleans())
    def finish(self, key: str, fence: int, response: bytes, failed: bool) -> None:
        result = Replay(response, failed=failed, completion_id=new_uuid())
        row = self._owned(key, fence)
        assert self._do(self.idempotency.finish(self._at(key), fence, result)) is (row is not None)
        if row is not None:
            row.result = result

    @rule(key=KEYS, fence=FENCES)
    def forget(self, key: str, fence: int) -> None:
        owned = self._owned(key, fence) is not None
        assert self._do(self.idempotency.forget(self._at(key), fence)) is owned
        if owned:
            del self.rows[key]

    @rule(key=KEYS, fence=FENCES)
    def heartbeat(self, key: str, fence: int) -> None:
        row = self._owned(key, fence)
        assert self._do(self.idempotency.heartbeat(self._at(key), fence)) is (row is not None)
        if row is not None:
            row.dead = False

    @rule(key=KEYS)
    def die(self, key: str) -> None:
        self._do(self.database.execute(EXPIRE, key, self.scope.tenant_id))
        if key in self.rows:
            self.rows[key].dead = True

    def _expected(self, key: str, fingerprint: bytes) -> object:
        row = self.rows.setdefault(key, Row(fingerprint, fence=0, dead=True))
        if row.fingerprint != fingerprint:
            return Reason.IDEMPOTENCY_KEY_REUSED
        if row.result is not None:
            return row.result
        if not row.dead:
            return Reason.IDEMPOTENCY_IN_PROGRESS
        row.fence, row.dead = row.fence + 1, False
        return Fresh(row.fence)

    def _begun(self, key: str, fingerprint: bytes) -> object:
        try:
            return self._do(self.idempotency.begin(self._at(key), fingerprint, "me"))
        except TrunklineError as error:
            return error.reason

    def _owned(self, key: str, fence: int) -> Row | None:
        row = self.rows.get(key)
        return row if row is not None and row.fence == fence and row.result is None else None

    def _at(self, key: str) -> Scope:
        return replace(self.scope, key=key)

    def _do(self, work: Any) -> Any:
        return self.runner.run(work)


def test_the_table_keeps_the_promise_in_any_order(postgres_url: str) -> None:
    with asyncio.Runner() as runner:
        database = runner.run(Database.open(DatabaseSettings(postgres_url, command_timeout_s=10)))
        bound = type("Bound", (Machine,), {"runner": runner, "database": database})
        run_state_machine_as_test(bound, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
        runner.run(database.close())
