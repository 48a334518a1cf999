"""Reflection on a listener that others can reach is for keys that may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.fixtures.gateway import reason_of
from trunkline_server.door.caller import Callers
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener
from trunkline_server.door.reflecting import SCOPE, Reflection, is_local
from trunkline_server.store.database import Database
from trunkline_server.store.keys import Keys, NewKey
from trunkline_server.store.tenants import Tenants

ASKED = reflection_pb2.ServerReflectionRequest(list_services="")


@asynccontextmanager
async def guarded(database: Database) -> AsyncIterator[tuple[reflection_pb2_grpc.ServerReflectionStub, Keys]]:
    keys = Keys(database, b"pepper")
    callers = Callers(keys, Tenants(database), 60, asyncio.get_running_loop().time)
    server = Listener(Reflection(("trunkline.v1.ChatService",), callers).rpcs(), Limits())
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield reflection_pb2_grpc.ServerReflectionStub(channel), keys
    await server.stop(0)


async def ask(stub: reflection_pb2_grpc.ServerReflectionStub, key: str = "") -> list[str]:
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([ASKED]), metadata=metadata)]
    return [service.name for service in answers[0].list_services_response.service]


async def test_only_a_key_with_the_scope_sees_what_there_is(database: Database) -> None:
    tenant = await Tenants(database).create("t")
    async with guarded(database) as (stub, keys):
        _, right = await keys.create(NewKey(tenant.tenant_id, "right", [SCOPE], created_by="test"))
        _, wrong = await keys.create(NewKey(tenant.tenant_id, "wrong", ["chat:*"], created_by="test"))
        assert "trunkline.v1.ChatService" in await ask(stub, right)
        with pytest.raises(grpc.aio.AioRpcError) as nobody:
            await ask(stub)
        with pytest.raises(grpc.aio.AioRpcError) as other:
            await ask(stub, wrong)
    assert (reason_of(nobody.value), nobody.value.code()) == ("AUTH_MISSING", grpc.StatusCode.UNAUTHENTICATED)
    assert (reason_of(other.value), other.value.code()) == ("SCOPE_MISSING", grpc.StatusCode.PERMISSION_DENIED)


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("0.0.0.0:1", False), ("[::]:1", False)],
)
def test_which_listeners_are_for_this_machine_alone(address: str, *, local: bool) -> None:
    assert is_local(address) == local
