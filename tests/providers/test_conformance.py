"""One suite for every provider: ours, those of the operator, one of another package, and the sandbox.

A provider joins with a line in `CASES`; what is its own stands in its accent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.providers.conformance.accent import Accent
from tests.providers.conformance.anthropic import Anthropic
from tests.providers.conformance.cohere import Cohere
from tests.providers.conformance.gemini import Gemini
from tests.providers.conformance.ollama import Ollama
from tests.providers.conformance.openai_chat import (
    XAI,
    Azure,
    Groq,
    HuggingFace,
    Mistral,
    OllamaCompatible,
    OpenAI,
    OpenRouter,
)
from tests.providers.conformance.openai_responses import Completions, Responses
from tests.providers.conformance.play import HELLO, WEATHER, Play
from tests.providers.conformance.stage import KEY, PREFIX, SandboxStage, ServerStage, Stage, before_a_server
from tests.providers.thirdparty.distribution import install_documented, on_the_path
from tests.wire.recorded import fold
from trunkline.v1 import chat_pb2, content_pb2, models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.builtin import declarations
from trunkline_server.providers.sandbox import SANDBOX


@dataclass(frozen=True)
class Case:
    """A provider by its name in the settings, and how it speaks; no accent: the sandbox, which speaks itself."""

    name: str
    accent: Accent | None = None
    dialect: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.name, self.dialect)))


class Acme(OpenAI):
    """The example of `docs/providers.md`."""

    def key(self, headers: Mapping[str, str]) -> str:
        return headers["x-acme-key"]


CASES = (
    Case("openai", Completions()),
    Case("openai", Responses()),
    Case("anthropic", Anthropic()),
    Case("gemini", Gemini()),
    Case("mistral", Mistral()),
    Case("cohere", Cohere()),
    Case("groq", Groq()),
    Case("xai", XAI()),
    Case("huggingface", HuggingFace()),
    Case("ollama", Ollama()),
    Case("openrouter", OpenRouter()),
    Case("own-openai", OpenAI(), "openai"),
    Case("own-azure", Azure(), "azure"),
    Case("own-anthropic", Anthropic(), "anthropic"),
    Case("own-gemini", Gemini(), "gemini"),
    Case("own-cohere", Cohere(), "cohere"),
    Case("own-ollama", Ollama(), "ollama"),
    Case("ollama", OllamaCompatible(), "openai"),
    Case("acme", Acme()),
    Case(SANDBOX.name),
)
KINDS = (
    *(FailureKind.AUTH, FailureKind.QUOTA, FailureKind.THROTTLED, FailureKind.INVALID, FailureKind.MODEL_UNKNOWN),
    *(FailureKind.CONTEXT_TOO_LONG, FailureKind.TRANSIENT),
)
NEEDED = {models_pb2.CAPABILITY_CHAT, models_pb2.CAPABILITY_STREAM, models_pb2.CAPABILITY_TOOLS}
TOOL = content_pb2.Tool(
    function=content_pb2.FunctionTool(name="weather", parameters_json_schema='{"type": "object", "properties": {}}')
)

every = pytest.mark.parametrize("case", CASES, ids=str)
on_a_server = pytest.mark.parametrize("case", [each for each in CASES if each.accent], ids=str)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
async def stage(case: Case, tmp_path: Path) -> AsyncIterator[Stage]:
    if case.accent is None:
        yield SandboxStage()
        return
    with on_the_path(tmp_path / "site") as site:
        install_documented(site)
        async with before_a_server(case.name, case.dialect, case.accent) as opened:
            yield opened


def test_every_provider_of_ours_that_chats_is_here() -> None:
    chatting = {each.name for each in declarations() if models_pb2.CAPABILITY_CHAT in each.capabilities}
    assert {*chatting, SANDBOX.name} <= {case.name for case in CASES}


@every
@both_ways
async def test_says_what_is_said(stage: Stage, stream: bool) -> None:
    answer, asked = await answered(stage, HELLO, stream=stream)

    (candidate,) = answer.candidates()
    assert text(candidate) == "Hello out there"
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_STOP
    told = stage.accent
    assert (answer.usage, bool(answer.response_id), bool(answer.model)) == (told.usage_told, told.gives_ids, True)
    assert stage.accent.text_of(stage.body()) == "How is it?"
    assert asked.warnings == []


@every
@both_ways
async def test_calls_a_tool(stage: Stage, stream: bool) -> None:
    answer, _ = await answered(stage, WEATHER, question(tools=[TOOL]), stream=stream)

    (candidate,) = answer.candidates()
    (call,) = [part.tool_call for part in candidate.message.parts if part.HasField("tool_call")]
    assert (call.name, call.state) == ("weather", content_pb2.TOOL_CALL_STATE_READY)
    assert call.arguments_json.replace(" ", "") == '{"city":"Wien"}'
    assert call.call_id
    assert candidate.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert stage.accent.tools_of(stage.body()) == ["weather"]


@every
async def test_hears_what_a_tool_said_to_a_call_of_another_provider(stage: Stage) -> None:
    call = content_pb2.ToolCallPart(call_id="call_0123456789abcdef", name="weather", arguments_json='{"city": "Wien"}')
    result = content_pb2.ToolResultPart(call_id=call.call_id, name="weather")
    result.parts.add().text.text = "18 degrees"
    asked = question(tools=[TOOL])
    asked.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.CopyFrom(call)
    asked.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.CopyFrom(result)

    await answered(stage, HELLO, asked)

    link = stage.accent.link_of(stage.body())
    assert link.call == link.result
    assert "18 degrees" in link.text


@every
@both_ways
@pytest.mark.parametrize("kind", KINDS)
async def test_fails_by_class(stage: Stage, kind: FailureKind, stream: bool) -> None:
    failure = await failed(stage, stage.fail(kind), stream=stream)

    trouble = stage.accent.trouble(kind)
    assert (failure.kind, failure.http_status, failure.retry_after_s) == (kind, trouble.status, trouble.wait_s)
    assert "secret" not in str(failure)


@every
@both_ways
async def test_a_page_is_no_answer(stage: Stage, stream: bool) -> None:
    failure = await failed(stage, stage.fail(FailureKind.BROKEN), stream=stream)

    assert failure.kind is FailureKind.BROKEN


@every
async def test_an_error_in_the_middle_of_a_stream(stage: Stage) -> None:
    failure = await failed(stage, stage.script(Play(HELLO.words, end="error", after=2), stream=True), stream=True)

    assert failure.kind is stage.accent.error_kind
    assert "secret" not in str(failure)


@every
@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_a_stream_that_ends_too_early(stage: Stage, end: str) -> None:
    play = Play(HELLO.words, end="cut" if end == "cut" else "reset", after=1)
    failure = await failed(stage, stage.script(play, stream=True), stream=True)

    assert failure.kind is FailureKind.INTERRUPTED


@every
async def test_a_caller_that_leaves_closes_the_socket(stage: Stage) -> None:
    answer = Answer(streaming=True)
    ask = stage.ask(question(), stage.script(Play(HELLO.words, end="stall", after=1), stream=True), stream=True)

    async with asyncio.timeout(10):
        listening = asyncio.create_task(listen(stage, ask, answer))
        await stage.heard.wait()
        listening.cancel()
        await stage.left()
    assert text(answer.candidates()[0]) == "Hello"


@every
async def test_can_do_what_it_says(stage: Stage) -> None:
    capabilities = stage.upstream.wire.capabilities

    assert capabilities >= NEEDED
    assert (models_pb2.CAPABILITY_COUNT_TOKENS in capabilities) == (stage.accent.count(1) is not None)


@on_a_server
async def test_counts_tokens_where_it_can(stage: ServerStage) -> None:
    counted = stage.accent.count(42)
    stage.server.reply(json=counted)
    ask = stage.ask(question(), {}, stream=False)

    assert await stage.upstream.count(ask) == (None if counted is None else 42)


@on_a_server
async def test_lists_its_models(stage: ServerStage) -> None:
    stage.server.reply(json=stage.accent.models(["one", "two"]))

    assert await stage.upstream.models() == ["one", "two"]
    (request,) = stage.server.requests
    assert (request.method, stage.accent.key(request.headers)) == ("GET", KEY)


@on_a_server
async def test_a_list_of_models_proves_the_key(stage: ServerStage) -> None:
    stage.fail(FailureKind.AUTH)

    with pytest.raises(UpstreamFailure) as caught:
        await stage.upstream.models()

    assert caught.value.kind is FailureKind.AUTH


async def test_the_sandbox_lists_its_models() -> None:
    assert "echo" in await SandboxStage().upstream.models()


@on_a_server
async def test_the_key_goes_in_its_header_and_nowhere_else(stage: ServerStage) -> None:
    await answered(stage, HELLO)

    (request,) = stage.server.requests
    assert stage.accent.key(request.headers) == KEY
    assert sum(KEY in value for value in request.headers.values()) == 1
    assert KEY not in request.path + repr(stage.upstream)
    assert KEY.encode() not in request.body


@on_a_server
async def test_asks_below_the_address_for_the_model(stage: ServerStage) -> None:
    await answered(stage, HELLO)

    (request,) = stage.server.requests
    assert request.path.startswith(f"{PREFIX}/")
    assert stage.accent.model_of(request.path, request.json()) == stage.accent.model


@on_a_server
async def test_nobody_answers(stage: ServerStage) -> None:
    await stage.server.__aexit__()
    failure = await failed(stage, {}, stream=False)

    assert failure.kind is FailureKind.NEVER_SENT


def question(**fields: object) -> chat_pb2.ChatInput:
    asked = chat_pb2.ChatInput(**fields)  # type: ignore[arg-type]
    asked.messages.add(role=content_pb2.ROLE_USER).parts.add().text.text = "How is it?"
    return asked


def text(candidate: chat_pb2.Candidate) -> str:
    return "".join(part.text.text for part in candidate.message.parts)


async def answered(
    stage: Stage, play: Play, asked: chat_pb2.ChatInput | None = None, *, stream: bool = False
) -> tuple[Answer, Ask]:
    """The answer to a question; events of a stream must add up to it."""
    ask = stage.ask(asked or question(), stage.script(play, stream=stream), stream=stream)
    answer, events = Answer(streaming=stream), list[chat_pb2.ChatEvent]()
    async with aclosing(stage.upstream.chat(ask, answer)) as reads:
        async for _ in reads:
            events += answer.drain()
    events += [*answer.drain(), *answer.endings()]
    assert not stream or fold(events) == answer.candidates()
    return answer, ask


async def failed(stage: Stage, options: dict[str, object], *, stream: bool) -> UpstreamFailure:
    ask = stage.ask(question(), options, stream=stream)
    with pytest.raises(UpstreamFailure) as caught:
        await listen(stage, ask, Answer(streaming=stream))
    return caught.value


async def listen(stage: Stage, ask: Ask, answer: Answer) -> None:
    async for _ in stage.upstream.chat(ask, answer):
        if answer.has_content:
            stage.heard.set()
