"""Reflection on a listener that others can reach is for keys that may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.fixtures.gateway import reason_of
from tests.fixtures.refusal import Refusal, refusal, send
from trunkline.v1 import chat_pb2
from trunkline_server.core.browser_token import BrowserTokens
from trunkline_server.door.caller import Callers
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener
from trunkline_server.door.reflecting import SCOPE, Reflection, is_local
from trunkline_server.door.signed import Freshness
from trunkline_server.store.database import Database
from trunkline_server.store.keys import Keys, NewKey
from trunkline_server.store.nonces import Nonces
from trunkline_server.store.tenants import Tenants

ASKED = reflection_pb2.ServerReflectionRequest(list_services="")


@asynccontextmanager
async def guarded(database: Database) -> AsyncIterator[tuple[reflection_pb2_grpc.ServerReflectionStub, Keys]]:
    keys = Keys(database, b"pepper")
    pages = BrowserTokens.derive(b"secret")
    freshness = Freshness(Nonces(database), 60)
    clock = asyncio.get_running_loop().time
    callers = Callers(keys, Tenants(database), 60, clock, pages=pages, freshness=freshness)
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


async def test_what_there_is_and_what_describes_it() -> None:
    server = Listener(Reflection(("trunkline.v1.ChatService",)).rpcs(), Limits())
    port = await server.start("127.0.0.1", 0)

    def look() -> tuple[list[str], list[str], list[int]]:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            service: Any = pool.FindServiceByName("trunkline.v1.ChatService")
            with pytest.raises(KeyError):
                database.FindFileByName("nothing.proto")
            with pytest.raises(KeyError):
                database.FindFileContainingSymbol("no.Thing")
            numbers = list(database.FindAllExtensionNumbers("google.protobuf.MethodOptions"))
            return list(database.get_services()), [each.name for each in service.methods], numbers

    services, methods, _ = await asyncio.to_thread(look)
    await server.stop(0)
    assert services == ["grpc.reflection.v1alpha.ServerReflection", "trunkline.v1.ChatService"]
    assert methods == [each.name for each in chat_pb2.DESCRIPTOR.services_by_name["ChatService"].methods]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_questions_that_are_none(version: str) -> None:
    server = Listener(Reflection(()).rpcs(), Limits())
    port = await server.start("127.0.0.1", 0)
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        told = await refusal(send(channel, path, b"\xff", ()))
        (answer,) = await send(channel, path, b"", ())
    await server.stop(0)
    assert told == Refusal("INVALID_ARGUMENT")
    assert reflection_pb2.ServerReflectionResponse.FromString(answer).error_response.error_code == 3
