"""Three gateways and one account: whatever 200 callers ask of it at once, it never goes below its floor."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import grpc
import pytest

from tests.fixtures.gateway import question
from tests.fixtures.refusal import refusal_of
from tests.fixtures.served import Client, Serve, Served
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2
from trunkline_server.store import reconciliation
from trunkline_server.store.database import Database

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CALLERS = 200
GRANT = "0.0012"
"""Enough for two in three of them, also where one comes after the other."""


async def asked(client: Client, number: int) -> tuple[str, int]:
    """How the call ended, and what it was charged."""
    request = chat_pb2.CompleteRequest(input=question(f"question number {number}"))
    request.input.sampling.max_output_tokens = 16
    try:
        answer = await client.chat.Complete(request, metadata=client.metadata, timeout=60)
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason, 0
    return "OK", answer.completion.charge.nanos


async def nothing_held(database: Database) -> bool:
    """A bill that the database was too busy for is written a little later."""
    return not await database.fetchval("SELECT count(*) FROM hold WHERE state = 'held'")


async def started(serve: Serve) -> list[Served]:
    gateways: list[Served] = []
    for _ in range(3):
        gateway = await serve(TRUNKLINE_CREDITS__DEFAULT_GRANT=GRANT, TRUNKLINE_DATABASE__COMMAND_TIMEOUT_S="10")
        await gateway.until_serving(but=gateways[-1].address if gateways else "")
        gateways.append(gateway)
    return gateways


async def test_200_callers_on_three_gateways_never_overspend_one_account(serve: Serve) -> None:
    gateways = await started(serve)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.client("ada")) for gateway in gateways]
        ended = await asyncio.gather(*(asked(clients[number % 3], number) for number in range(CALLERS)))
        told, spent = Counter(reason for reason, _ in ended), sum(charge for _, charge in ended)
        print(f"{dict(told)}, spent {spent}")
        assert {"OK", "CREDIT_INSUFFICIENT"} <= told.keys() <= {"OK", "CREDIT_INSUFFICIENT", "STORE_UNAVAILABLE"}
    async with gateways[0].database() as database:
        await until(lambda: nothing_held(database), limit_s=60)
        balances = [row[0] for row in await database.fetch("SELECT balance_after FROM transfer ORDER BY id")]
        assert min(balances) >= 0
        assert balances[-1] == 1_200_000 - spent
        assert await reconciliation.audit(database) == []
