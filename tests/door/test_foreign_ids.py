"""Another tenant's ids, tried at every place of every request of the contract: they answer as ids that do not exist."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fixtures.gateway import Metadata, RunningGateway
from tests.fixtures.naming import Place, places, told
from tests.fixtures.refusal import refusal_of, send
from tests.fixtures.requests import GOOD
from trunkline.v1 import admin_pb2
from trunkline_server.door.contract import Contract, Method

METHODS: Final = {method.name.removeprefix("/trunkline.v1."): method for method in Contract().methods()}
SPELLED: Final = re.compile(r"([a-z]+_)([0-9a-f]{32})")
TAKING_AWAY: Final = ("Delete", "Revoke", "Cancel", "Clear", "Erase", "Purge", "Release")
IDS_EACH_MAX: Final = 2
_HEX: Final = 32

Things = dict[str, set[str]]
Heard = tuple[str, list[bytes]]


def test_no_method_is_without_a_scope() -> None:
    assert [name for name, method in METHODS.items() if not method.scope] == []
    assert all(re.fullmatch(r"[a-z_]+:[a-z]+", method.scope) for method in METHODS.values())


async def test_who_has_no_scope_may_call_nothing(gateway: RunningGateway) -> None:
    nobody = await key_of(gateway, ["nothing:read"])
    heard = {name: await ask(gateway, name, request, nobody) for name, request in GOOD.items()}
    assert {name: answer for name, answer in heard.items() if answer[0] != "PERMISSION_DENIED SCOPE_MISSING"} == {}


@pytest.mark.timeout(240)
async def test_foreign_ids_are_unknown_everywhere(gateway: RunningGateway) -> None:
    owner, stranger = await tenant_of(gateway, "owner"), await tenant_of(gateway, "stranger")
    things = await filled(gateway, owner)
    assert things.keys() >= {"account_id", "assistant_id", "batch_id", "conversation_id", "endpoint_id", "job_id"}
    before = await read(gateway, owner, things)
    owned = {known.encode() for each in things.values() for known in each if SPELLED.fullmatch(known)}
    unlike, tried = [], 0
    for name, place, known in attempts(things):
        unknown = another(known)
        heard = await ask(gateway, name, fresh(place.filled(GOOD[name], known)), stranger)
        expected = await ask(gateway, name, fresh(place.filled(GOOD[name], unknown)), stranger)
        tried += 1
        if not alike(heard, expected, known, unknown) or leaked(heard, owned - {known.encode()}):
            unlike.append((name, ".".join(place.path), known, heard[0], expected[0]))
    assert unlike == []
    assert tried > 100
    assert await read(gateway, owner, things) == before


def alike(heard: Heard, expected: Heard, known: str, unknown: str) -> bool:
    """They end alike; errors in the same words."""
    if heard[0] == expected[0] == "OK":
        return True
    words = [_plain(each).replace(known[-_HEX:].encode(), unknown[-_HEX:].encode()) for each in heard[1]]
    return (heard[0], words) == (expected[0], [_plain(each) for each in expected[1]])


def _plain(words: bytes) -> bytes:
    """Whichever way ids are spelled in them."""
    return words.replace(b"-", b"")


def leaked(heard: Heard, owned: set[bytes]) -> bool:
    """Something of the owner's beside what was asked for."""
    return any(known in data for data in heard[1] for known in owned)


def attempts(things: Things) -> Iterator[tuple[str, Place, str]]:
    """Where, and which of the owner's: those that fields of this name have told, or ids of every kind."""
    everything = {known for each in things.values() for known in sorted(each)[:1] if SPELLED.fullmatch(known)}
    for name, request in GOOD.items():
        for place in places(request.DESCRIPTOR):
            for known in sorted(things.get(place.name.removesuffix("s"), everything))[-IDS_EACH_MAX:]:
                yield name, place, known


async def filled(gateway: RunningGateway, owner: Metadata) -> Things:
    """Has the owner make one of everything, in two rounds: what leans on other things needs them to be there."""
    things: Things = defaultdict(set)
    for _ in range(2):
        for name, request in GOOD.items():
            if not METHODS[name].streams and not name.partition("/")[2].startswith(TAKING_AWAY):
                for field, known in await answers(gateway, name, fresh(leaning(request, things)), owner):
                    if SPELLED.fullmatch(known) or field == "key_id":  # others are names that the caller chose
                        things[field.removesuffix("s")].add(known)
    return things


def leaning(request: Message, things: Things) -> Message:
    """With ids that there are, where it has ids."""
    for place in places(request.DESCRIPTOR):
        if len(place.path) == 1 and place.name in things and getattr(request, place.name):
            request = place.filled(request, max(things[place.name]))
    return request


async def read(gateway: RunningGateway, owner: Metadata, things: Things) -> dict[str, Any]:
    """What the owner sees of their own things."""
    seen = {}
    for name, request in GOOD.items():
        if METHODS[name].reads and name.partition("/")[2].startswith(("Get", "List")):
            heard = await answers(gateway, name, leaning(request, things), owner)
            seen[name] = sorted({known for known in heard if SPELLED.fullmatch(known[1])})
    return seen


async def answers(gateway: RunningGateway, name: str, request: Message, metadata: Metadata) -> list[tuple[str, str]]:
    """The ids and names in an answer; none where it is refused."""
    reply = GetMessageClass(descriptor_of(name).output_type)
    ending, heard = await ask(gateway, name, request, metadata)
    if ending != "OK":
        return []
    return [known for data in heard for known in told(reply.FromString(data))]


def descriptor_of(name: str) -> Any:
    service, _, method = name.partition("/")
    return GOOD[name].DESCRIPTOR.file.services_by_name[service].methods_by_name[method]


async def ask(gateway: RunningGateway, name: str, request: Message, metadata: Metadata) -> Heard:
    """How it ends, and what comes."""
    try:
        return "OK", await send(gateway.channel, f"/trunkline.v1.{name}", request, metadata, timeout=20)
    except grpc.aio.AioRpcError as error:
        heard = refusal_of(error)
        return f"{heard.code} {heard.reason}", [(error.details() or "").encode()]


def fresh(request: Message) -> Message:
    """Under a request id of its own; what it makes, under a name of its own."""
    making = request.DESCRIPTOR.name.startswith("Create")
    for path in (("request_id",), *([("name",), ("persona", "name")] if making else [])):
        if path[0] in request.DESCRIPTOR.fields_by_name:
            request = Place(path, is_repeated=False).filled(request, f"n{secrets.token_hex(8)}")
    return request


def another(known: str) -> str:
    """An id or a name of the same kind that nobody has."""
    spelled = SPELLED.fullmatch(known)
    return spelled[1] + secrets.token_hex(16) if spelled else secrets.token_hex(len(known) // 2 or 1)[: len(known)]


def plain(method: Method) -> bool:
    return not method.scope.startswith("admin:")


async def tenant_of(gateway: RunningGateway, name: str) -> Metadata:
    """Somebody who may do everything there, and nothing to the gateway."""
    scopes = sorted({each.scope for each in METHODS.values() if plain(each)})
    request = admin_pb2.CreateTenantRequest(name=name)
    tenant = (await gateway.admin.CreateTenant(request, metadata=gateway.metadata())).tenant
    return await key_of(gateway, scopes, tenant.tenant_id)


async def key_of(gateway: RunningGateway, scopes: list[str], tenant_id: str = "") -> Metadata:
    request = admin_pb2.CreateApiKeyRequest(name="key", scopes=scopes, tenant_id=tenant_id)
    made = await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())
    return gateway.metadata("ada", made.secret)
