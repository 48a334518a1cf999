"""Nothing is imported while a call runs: an import costs more than the call."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, models_pb2

CHUNKS = [
    b'data: {"choices":[{"index":0,"delta":{"content":"Ol\xc3\xa1"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
]
REPLY = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Olá"}, "finish_reason": "stop"}]}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The import statements that ran in the server's own code, and who ran them."""
    seen: list[str] = []
    real = builtins.__import__

    def watched(name: str, given: dict[str, Any] | None = None, *more: Any) -> Any:
        importer = str((given or {}).get("__name__", ""))
        if importer.startswith("trunkline_server"):
            seen.append(f"{importer}: {name}")
        return real(name, given, *more)

    monkeypatch.setattr(builtins, "__import__", watched)
    return seen


async def test_the_first_calls_import_nothing(
    start_gateway: StartGateway, upstream: Upstream, request: pytest.FixtureRequest
) -> None:
    gateway = await start_gateway({"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": upstream.url})
    await gateway.models.ListModels(models_pb2.ListModelsRequest(), metadata=gateway.metadata())  # warms the client
    imported: list[str] = request.getfixturevalue("imported")
    before = set(sys.modules)

    upstream.reply(json=REPLY)
    assert await _whole(gateway) == "Olá"
    upstream.stream(CHUNKS)
    assert await _streamed(gateway) == "Olá"

    assert imported == []
    assert set(sys.modules) - before == set()


async def _whole(gateway: RunningGateway) -> str:
    asked = chat_pb2.CompleteRequest(input=question("Hi", "openai/gpt-4o-mini"))
    answer = await gateway.chat.Complete(asked, metadata=gateway.metadata("ada"))
    return text_of(answer.completion)


async def _streamed(gateway: RunningGateway) -> str:
    asked = chat_pb2.StreamRequest(input=question("Hi", "openai/gpt-4o-mini"))
    call = gateway.chat.Stream(asked, metadata=gateway.metadata("ada"))
    return "".join([message.event.part_delta.text async for message in call])
