"""Looks at providers: what they find is told by every replica, once it lasts."""

from __future__ import annotations

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Upstream
from trunkline.v1 import admin_pb2
from trunkline_server.store.database import Database
from trunkline_server.store.schedules import Schedules


async def names(gateway: RunningGateway) -> dict[str, int]:
    """The schedules that the database knows, and how often each has run."""
    return {row.name: row.run_count for row in await Schedules(gateway.house.background.database).all()}


async def checked(gateway: RunningGateway, times: int) -> None:
    """Somebody has it done now, and it is."""

    async def is_known() -> bool:
        return "check_providers" in await names(gateway)

    async def is_done() -> bool:
        return (await names(gateway))["check_providers"] == times

    await until(is_known)
    await Schedules(gateway.house.background.database).hurry("check_providers")
    await until(is_done)


async def health(gateway: RunningGateway) -> tuple[list[int], dict[str, tuple[str, int]]]:
    request = admin_pb2.GetSystemHealthRequest()
    told = (await gateway.admin.GetSystemHealth(request, metadata=gateway.metadata())).health
    checks = {each.provider: (each.failure_kind, each.failure_count) for each in told.provider_checks}
    return list(told.problems), checks


@pytest.fixture
async def gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    return await start_gateway({"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{upstream.url}/v1"})


async def test_a_provider_that_fails_twice_is_a_problem_until_it_answers(
    gateway: RunningGateway, upstream: Upstream, database: Database
) -> None:
    upstream.respond(lambda _: upstream.whole(json={"data": [{"id": "gpt-4o"}]}))
    upstream.reply(status=401, json={})
    await checked(gateway, 1)
    assert await health(gateway) == ([], {"openai": ("AUTH", 1), "sandbox": ("", 0)})
    upstream.raw(RESET)
    await checked(gateway, 2)
    problems, checks = await health(gateway)
    assert problems == [admin_pb2.SYSTEM_PROBLEM_PROVIDERS]
    assert checks["openai"][1] == 2
    await checked(gateway, 3)
    assert await health(gateway) == ([], {"openai": ("", 0), "sandbox": ("", 0)})
    assert {request.path for request in upstream.requests} == {"/v1/models"}
    assert await database.fetchval("SELECT count(*) FROM transfer") == 0


async def test_who_is_busy_or_has_no_list_is_there(gateway: RunningGateway, upstream: Upstream) -> None:
    for times, status in enumerate((404, 429), 1):
        upstream.reply(status=status, json={})
        await checked(gateway, times)
        assert (await health(gateway))[1]["openai"] == ("", 0)


async def test_it_can_be_off(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(routing={"check_every_s": "0"})

    async def are_known() -> bool:
        return "purge_inbound_webhooks" in await names(gateway)  # the last one

    await until(are_known)
    assert "check_providers" not in await names(gateway)
    assert await health(gateway) == ([], {})
