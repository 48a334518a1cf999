"""Every field of every request, with values from the edges of its type: answered or refused, never a fault."""

from __future__ import annotations

from collections import Counter
from typing import Final

import grpc
import pytest
from google.protobuf.message import Message

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.nasty import variants
from tests.fixtures.refusal import refusal_of, send
from tests.fixtures.requests import DEADLY, DIALLING, ENDLESS, GOOD
from tests.fixtures.requests.chat import RICH, SCHEMA
from trunkline.v1 import chat_pb2, models_pb2
from trunkline_server.core import question as question_rules
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.contract import Contract
from trunkline_server.providers.builtin import declarations
from trunkline_server.providers.provider import Provider
from trunkline_server.store import reconciliation
from trunkline_server.store.database import Database

CONTRACT: Final = Contract()
FAULTS: Final = frozenset(("UNKNOWN", "INTERNAL", "UNIMPLEMENTED"))


def test_no_method_is_left_out() -> None:
    assert {method.name for method in CONTRACT.methods()} == {
        f"/trunkline.v1.{name}" for name in (*GOOD, *ENDLESS, *DEADLY)
    }


@pytest.mark.timeout(240)  # a question has many fields
@pytest.mark.parametrize("method", GOOD)
async def test_every_field(database: Database, gateway: RunningGateway, method: str) -> None:
    faults, codes = [], Counter([await told(gateway, method, GOOD[method])])
    assert method in DIALLING or not any(code.startswith("INVALID") for code in codes), codes
    for path, request in variants(GOOD[method]):
        code = await told(gateway, method, request)
        codes[code] += 1
        if code in FAULTS:
            faults.append(path)
    assert faults == [], codes
    assert all(code == "OK" or not code.endswith(" ") for code in codes), codes
    assert await reconciliation.audit(database) == []


CHATTING: Final = [each for each in declarations() if models_pb2.CAPABILITY_CHAT in each.capabilities]


@pytest.mark.parametrize("provider", CHATTING, ids=lambda provider: provider.name)
def test_every_provider_can_be_told_what_the_door_lets_through(provider: Provider) -> None:
    spelled, faults = 0, []
    for path, input in (*variants(RICH), *variants(SCHEMA)):
        try:
            check(input)
            provider.wire.encode_chat(Ask(provider=provider.name, model="m", input=input, stream=True))
            spelled += 1
        except TrunklineError:
            continue
        except Exception as error:  # noqa: BLE001 - every fault is listed
            faults.append(f"{path}: {error!r}")
    assert faults == []
    assert spelled > 400


def check(input: chat_pb2.ChatInput) -> None:
    """What happens to a question before a provider is asked."""
    CONTRACT.validate(chat_pb2.CompleteRequest(input=input))
    question_rules.check(input)


async def told(gateway: RunningGateway, method: str, request: Message) -> str:
    """`OK`, or the code and the reason; a fault without its reason."""
    try:
        await send(gateway.channel, f"/trunkline.v1.{method}", request, gateway.metadata("ada"), timeout=20)
    except grpc.aio.AioRpcError as error:
        heard = refusal_of(error)
        fault = heard.code in FAULTS and heard.reason != "OUTPUT_INVALID"
        return heard.code if fault else f"{heard.code} {heard.reason}"
    return "OK"
