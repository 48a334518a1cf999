"""The sandbox as the gateway holds it, what it is asked, and what of an answer is looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport
from trunkline_server.wire.http import HttpRequest

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
BOTH_WAYS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@dataclass
class Clock:
    """Waits for nobody, and remembers the pauses."""

    pauses: list[float] = field(default_factory=list)

    async def sleep(self, pause_s: float) -> None:
        await asyncio.sleep(0)
        if pause_s:
            self.pauses.append(round(pause_s, 6))


@dataclass
class Sandbox:
    """The provider as the gateway holds it."""

    clock: Clock = field(default_factory=Clock)
    settings: ClientSettings = field(default_factory=ClientSettings)

    def __post_init__(self) -> None:
        self.transport = SandboxTransport(self.settings, self.clock.sleep)
        self.upstream = Upstream(SANDBOX, self.transport)

    async def say(self, ask: Ask) -> Answer:
        answer = Answer(streaming=ask.stream)
        async for _ in self.upstream.chat(ask, answer):
            pass
        return answer

    async def fail(self, ask: Ask) -> UpstreamFailure:
        """The failure, with what was said before as its note."""
        answer = Answer(streaming=ask.stream)
        with pytest.raises(UpstreamFailure) as caught:
            async for _ in self.upstream.chat(ask, answer):
                pass
        caught.value.add_note(said(answer) if answer.has_content else "")
        return caught.value


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


def message(role: content_pb2.Role.ValueType, text: str) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=[content_pb2.Part(text=content_pb2.TextPart(text=text))])


def ask(
    model: str = "echo",
    text: str = "one two three",
    *,
    stream: bool = True,
    cap: int | None = None,
    more: chat_pb2.ChatInput | None = None,
    **script: object,
) -> Ask:
    question = chat_pb2.ChatInput(model=f"sandbox/{model}", messages=[message(content_pb2.ROLE_USER, text)])
    question.MergeFrom(more or chat_pb2.ChatInput())
    return Ask("sandbox", model, question, {"script": script} if script else {}, stream=stream, max_output_tokens=cap)


def said(answer: Answer, candidate: int = 0) -> str:
    return "".join(part.text.text for part in answer.candidates()[candidate].message.parts)


def calls(answer: Answer) -> list[tuple[str, object]]:
    parts = answer.candidates()[0].message.parts
    return [
        (part.tool_call.name, json.loads(part.tool_call.arguments_json)) for part in parts if part.HasField("tool_call")
    ]


def finish(answer: Answer) -> int:
    return answer.candidates()[0].finish_reason


def usage(answer: Answer) -> tuple[int, int, int, int]:
    assert answer.usage is not None
    told = answer.usage
    return told.input_tokens, told.output_tokens, told.cached_input_tokens, told.reasoning_output_tokens


def offering(name: str = "weather", schema: Mapping[str, object] | None = None) -> chat_pb2.ChatInput:
    function = content_pb2.FunctionTool(name=name, parameters_json_schema=json.dumps(schema or CITY))
    return chat_pb2.ChatInput(tools=[content_pb2.Tool(function=function)])


def shaped(schema: object) -> chat_pb2.ChatInput:
    wanted = content_pb2.JsonSchemaFormat(name="shape", json_schema=json.dumps(schema))
    return chat_pb2.ChatInput(output_format=content_pb2.OutputFormat(json_schema=wanted))


async def raw(transport: SandboxTransport, request: HttpRequest) -> tuple[int, bytes]:
    async with transport.open(request) as response:
        return response.status, await response.read(1 << 20)
