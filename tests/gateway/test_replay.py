"""Exchanges that others recorded, served over a real socket to a whole gateway: what comes out is what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of
from tests.fixtures.upstream import Upstream
from tests.wire.recorded import Exchange, cut, exchanges, fold, read
from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.providers.builtin import declarations
from trunkline_server.providers.provider import Provider

RECORDED = {
    "openai": ("gpt-4o", ("openai__chat-completions__", "azure__deployments-chat-completions__")),
    "anthropic": ("claude-sonnet-4-5", ("anthropic__messages__",)),
    "gemini": ("gemini-2.5-flash", ("gemini__generatecontent__", "gemini__streamgeneratecontent__")),
    "mistral": ("mistral-small-latest", ("mistral__chat-completions__",)),
    "cohere": ("command-a-03-2025", ("cohere__v2-chat__",)),
    "groq": ("llama-3.3-70b-versatile", ("groq__chat-completions__",)),
    "xai": ("grok-4-fast", ("xai__chat-completions__",)),
    "huggingface": ("openai/gpt-oss-120b", ("huggingface__chat-completions",)),
    "ollama": ("llama3", ("ollama__api-chat__",)),
    "openrouter": ("openai/gpt-4o-mini", ("openrouter__chat-completions__",)),
}
RESPONSES = {"openai": ("o3-pro", ("openai__responses__", "xai__responses__", "openrouter__responses__"))}
"""A model that is asked in the other dialect of its provider."""
FAILED = "fr:finish_reason=ERROR"
CALLER_ERRORS = {"PROVIDER_REJECTED", "MODEL_NOT_FOUND", "CONTEXT_TOO_LONG"}
OUR_ERRORS = {"PROVIDER_CREDENTIALS", "PROVIDER_QUOTA", "PROVIDERS_EXHAUSTED"}


@dataclass(frozen=True)
class Case:
    """One exchange, and the provider that it is replayed as."""

    provider: Provider
    model: str
    exchange: Exchange

    def answer(self) -> Answer:
        """What the provider's wire reads, without a gateway."""
        input = question("replay", f"{self.provider.name}/{self.model}")
        ask = Ask(self.provider.name, self.model, input, stream=True)
        wire, content_type = self.provider.wire, self.exchange.content_type
        return read(lambda answer: wire.decode_chat(ask, answer, content_type), [self.exchange.body])


def cases(*, good: bool) -> list[Any]:
    return list(_cases(good=good))


def _cases(*, good: bool) -> Iterator[Any]:
    for provider in declarations():
        if provider.name in RECORDED:
            yield from _replays(provider, *RECORDED[provider.name], good=good)
        if provider.name in RESPONSES:
            yield from _replays(provider, *RESPONSES[provider.name], good=good)


def _replays(provider: Provider, model: str, prefixes: tuple[str, ...], *, good: bool) -> Iterator[Any]:
    for prefix in prefixes:
        for parameter in exchanges(prefix):
            exchange = parameter.values[0]
            if exchange is None:
                yield parameter
            elif good == (exchange.good and "__error__" not in exchange.name and FAILED not in exchange.tags):
                yield pytest.param(Case(provider, model, exchange), id=f"{provider.name}-{parameter.id}")


@asynccontextmanager
async def replaying(case: Case, start_gateway: StartGateway) -> AsyncIterator[tuple[RunningGateway, Upstream]]:
    async with Upstream() as upstream:
        name = case.provider.name.upper()
        gateway = await start_gateway({f"{name}_API_KEY": "key", f"{name}_BASE_URL": upstream.url})
        yield gateway, upstream


def script(upstream: Upstream, exchange: Exchange, seed: int) -> None:
    if exchange.streamed:
        upstream.stream(cut(exchange.body, seed), content_type=exchange.content_type)
    else:
        upstream.reply(exchange.body, status=exchange.status, headers={"content-type": exchange.content_type})


def comparable(candidates: list[chat_pb2.Candidate]) -> list[chat_pb2.Candidate]:
    """Call ids that the gateway had to make up are new each time."""
    for candidate in candidates:
        for part in candidate.message.parts:
            if part.tool_call.call_id.startswith("call_") and len(part.tool_call.call_id) == len("call_") + 32:
                part.tool_call.call_id = "call_made_up"
    return candidates


@pytest.mark.parametrize("case", cases(good=True))
async def test_an_answer_arrives_whole(case: Case, start_gateway: StartGateway) -> None:
    expected = case.answer()
    input = question("replay", f"{case.provider.name}/{case.model}")
    async with replaying(case, start_gateway) as (gateway, upstream):
        script(upstream, case.exchange, seed=1)
        answered = await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=gateway.metadata())
        script(upstream, case.exchange, seed=2)
        call = gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=gateway.metadata())
        events = [response.event async for response in call]
    completion, streamed = answered.completion, events[-1].completed
    assert comparable(list(completion.candidates)) == comparable(expected.candidates())
    assert comparable(fold(events[1:-1])) == comparable(expected.candidates())
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert completion.usage == streamed.usage
    if expected.usage is not None:
        assert completion.usage == expected.usage
    assert completion.charge == streamed.charge


@pytest.mark.parametrize("case", cases(good=False))
async def test_an_error_is_told_without_the_providers_words(case: Case, start_gateway: StartGateway) -> None:
    input = question("replay", f"{case.provider.name}/{case.model}")
    async with replaying(case, start_gateway) as (gateway, upstream):
        headers = {"content-type": case.exchange.content_type}
        upstream.respond(lambda _: Upstream.whole(case.exchange.body, status=case.exchange.status, headers=headers))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=gateway.metadata())
    assert reason_of(caught.value) in CALLER_ERRORS | OUR_ERRORS
    assert caught.value.code() in {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNAVAILABLE,
    }
    told = str(caught.value.trailing_metadata()) + str(caught.value.details())
    for word in case.exchange.body.decode().split():
        assert len(word) < 12 or word not in told
