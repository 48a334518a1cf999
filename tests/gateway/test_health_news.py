"""Thresholds that are crossed become events: not at the first look, and once."""

from __future__ import annotations

from uuid import UUID

from trunkline.v1 import admin_pb2, events_pb2
from trunkline_server.gateway.breaker_news import BreakerNews
from trunkline_server.gateway.health_news import HealthNews
from trunkline_server.store.outbox import EVERYONE

OPERATOR = UUID(int=7)
DISK, MEMORY = admin_pb2.SYSTEM_PROBLEM_DISK, admin_pb2.SYSTEM_PROBLEM_MEMORY
DATABASE = admin_pb2.SYSTEM_PROBLEM_DATABASE


class Replica:
    """Does as it is told; keeps what it tells."""

    def __init__(self) -> None:
        self.problems: list[admin_pb2.SystemProblem.ValueType] = []
        self.events: list[tuple[UUID, events_pb2.Event]] = []
        self.news = HealthNews(self.health, lambda *told: self.events.append(told), OPERATOR, "r1")

    async def health(self) -> admin_pb2.SystemHealth:
        return admin_pb2.SystemHealth(problems=self.problems)

    async def look(self, *problems: admin_pb2.SystemProblem.ValueType) -> list[list[str]]:
        """What was told of it."""
        self.problems = list(problems)
        self.events.clear()
        await self.news.look()
        assert {tenant for tenant, _ in self.events} <= {OPERATOR}
        return [list(event.system_health_changed.problems) for _, event in self.events]


async def test_what_lasts_is_told_once_and_so_is_its_end() -> None:
    replica = Replica()
    assert await replica.look(DISK) == []
    assert await replica.look(DISK) == [["SYSTEM_PROBLEM_DISK"]]
    assert await replica.look(DISK) == []
    assert await replica.look(DISK, MEMORY) == []
    assert await replica.look(DISK, MEMORY) == [["SYSTEM_PROBLEM_DISK", "SYSTEM_PROBLEM_MEMORY"]]
    assert await replica.look() == [[]]
    assert await replica.look() == []


async def test_a_moment_is_not_told() -> None:
    replica = Replica()
    assert [await replica.look(*each) for each in ((DISK,), (), (DISK,), ())] == [[], [], [], []]


async def test_without_a_database_nothing_can_be_told_until_it_is_back() -> None:
    replica = Replica()
    assert [await replica.look(DATABASE), await replica.look(DATABASE), await replica.look()] == [[], [], [[]]]


def test_of_a_tenants_own_breaker_only_that_tenant_is_told() -> None:
    told: list[tuple[UUID, str]] = []
    news = BreakerNews(lambda tenant, event: told.append((tenant, event.breaker_opened.name)))
    news.turned(f"{OPERATOR}:openai/gpt", "open")
    news.turned("openai/gpt", "open")
    assert told == [(OPERATOR, "openai/gpt"), (EVERYONE, "openai/gpt")]
