"""A gateway is backed up while it serves, and restored elsewhere: the books add up, and old keys open the door."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question, start_gateway
from tests.fixtures.postgres import empty_url, postgres_server, postgres_url
from trunkline.v1 import chat_pb2, credits_pb2
from trunkline_server.store import reconciliation
from trunkline_server.store.binaries import installed
from trunkline_server.store.database import Database, DatabaseSettings

__all__ = ["empty_url", "postgres_server", "postgres_url", "start_gateway"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


async def run(tool: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(installed() / tool, *arguments)
    assert await process.wait() == 0


async def ask(gateway: RunningGateway) -> None:
    request = chat_pb2.CompleteRequest(input=question("hello"))
    await gateway.chat.Complete(request, metadata=gateway.metadata("ada"))


async def balance(gateway: RunningGateway) -> int:
    asked = credits_pb2.GetBalanceRequest()
    return (await gateway.credits.GetBalance(asked, metadata=gateway.metadata("ada"))).account.balance.nanos


async def test_what_was_backed_up_is_there_again(
    start_gateway: StartGateway, postgres_url: str, empty_url: str, tmp_path: Path
) -> None:
    gateway = await start_gateway()
    await asyncio.gather(*(ask(gateway) for _ in range(5)))
    left, dump = await balance(gateway), str(tmp_path / "trunkline.dump")
    await run("pg_dump", "--format", "custom", "--file", dump, postgres_url)
    await run("pg_restore", "--no-owner", "--exit-on-error", "--dbname", empty_url, dump)

    restored = await start_gateway({"TRUNKLINE_DATABASE_URL": empty_url})
    assert await balance(restored) == left
    await ask(restored)
    assert await balance(restored) < left == await balance(gateway)
    database = await Database.open(DatabaseSettings(empty_url, command_timeout_s=10, acquire_timeout_s=5))
    assert await reconciliation.audit(database) == []
    await database.close()
