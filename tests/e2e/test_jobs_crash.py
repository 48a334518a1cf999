"""Workers and the database die while jobs run: none is lost, none ends twice, and the books are exact."""

from __future__ import annotations

import pytest

from tests.fixtures.calamity import Calamity
from tests.fixtures.served import Serve

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

JOBS = 60


async def test_calamities_lose_nothing_and_charge_once(serve: Serve) -> None:
    gateway = await serve(command=("serve", "--no-worker"))
    await gateway.until_serving()
    calamity = Calamity(serve, gateway)
    async with gateway.client("ada") as client, gateway.database() as database:
        await calamity.hire()
        await calamity.hire()
        await calamity.order(JOBS, client)
        await calamity.strike(calamity.kill_worker, database)
        await calamity.strike(calamity.stop_worker_past_its_lease, database)
        await calamity.strike(calamity.kill_database, database)
        await calamity.until_over(database, 90)
        await calamity.check(database)
        assert len(calamity.rescues_s) == 1
