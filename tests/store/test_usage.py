"""The row of usage that a closed hold leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.ledger import Till, open_till
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.database import Database
from trunkline_server.store.usage import Usage


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    async with open_till(database) as opened:
        yield opened


async def test_a_settled_call_leaves_its_row(till: Till) -> None:
    reserved = await till.reserve(600)
    row = till.usage(
        reserved.hold_id,
        user_id="ada",
        key_id="k1",
        input_tokens=2**40,
        cached_input_tokens=3,
        unit_counts={"images": 2},
        usage_source="provider",
        basis="provider_usage",
        cost_nano_usd=250,
        charge_nanos=250,
        finish_reason="stop",
        attempts=2,
        first_token_ms=12,
        duration_ms=340,
        labels={"team": 'qu"ote \\ ☃ '},
        request_id="r1",
    )
    await till.ledger.settle(reserved, 250, row)
    found = await Usage(till.database).find(till.tenant_id, reserved.hold_id)
    assert found is not None
    assert found.create_time is not None
    for field in row.__struct_fields__:
        if field != "create_time":
            assert getattr(found, field) == getattr(row, field)


async def test_a_released_call_leaves_its_row_and_a_second_close_none(till: Till) -> None:
    reserved = await till.reserve(600)
    await till.ledger.release(reserved, till.usage(reserved.hold_id, error_reason="CIRCUIT_OPEN"))
    await till.ledger.settle(reserved, 5, till.usage(reserved.hold_id, charge_nanos=5))
    found = await Usage(till.database).find(till.tenant_id, reserved.hold_id)
    assert found is not None
    assert (found.error_reason, found.charge_nanos) == ("CIRCUIT_OPEN", 0)


async def test_a_row_is_its_tenants_own(till: Till) -> None:
    reserved = await till.reserve(600)
    await till.ledger.settle(reserved, 5, till.usage(reserved.hold_id, charge_nanos=5))
    assert await Usage(till.database).find(new_uuid(), reserved.hold_id) is None
    assert await Usage(till.database).find(till.tenant_id, new_uuid()) is None


async def test_a_row_that_cannot_be_written_does_not_stop_the_charge(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    reserved = await till.reserve(600)
    settled = await till.ledger.settle(
        reserved, 5, till.usage(reserved.hold_id, charge_nanos=5, labels={"bad": "\x00"})
    )
    assert (settled.charged, settled.balance) == (5, 995)
    assert await Usage(till.database).find(till.tenant_id, reserved.hold_id) is None
    assert [record.message for record in caplog.records] == ["usage.unwritable"]
