"""`/metrics`: what calls leave behind, by labels that no caller can choose."""

from __future__ import annotations

import re
from collections.abc import Mapping

import grpc
import pytest

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.http import Http
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, providers_pb2

COMPLETE = "/trunkline.v1.ChatService/Complete"
STREAM = "/trunkline.v1.ChatService/Stream"
LABELS = {
    "code", "kind", "le", "method", "model", "name", "operation", "outcome", "provider", "queue", "state", "version",
}  # fmt: skip


async def scraped(gateway: RunningGateway) -> Mapping[str, float]:
    """Samples by name and labels."""
    text = (await Http(gateway).get("/metrics", authorization="")).body.decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def ask(gateway: RunningGateway, model: str = "sandbox/echo", user: str = "ada") -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=question("hello", model))
    return (await gateway.chat.Complete(request, metadata=gateway.metadata(user))).completion


async def test_calls_are_counted_by_method_and_code(gateway: RunningGateway) -> None:
    await ask(gateway)
    await ask(gateway)
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(gateway, "sandbox/no-such-model-at-all")
    told = await scraped(gateway)
    assert told[f'trunkline_calls_total{{method="{COMPLETE}",code="OK"}}'] == 2
    assert sum(n for name, n in told.items() if name.startswith(f'trunkline_calls_total{{method="{COMPLETE}"')) == 3
    assert told[f'trunkline_call_duration_seconds_count{{method="{COMPLETE}"}}'] == 3


async def test_what_was_used_is_counted_by_model(gateway: RunningGateway) -> None:
    completion = await ask(gateway)
    told, model = await scraped(gateway), 'provider="sandbox",model="echo"'
    assert told[f'trunkline_attempts_total{{{model},outcome="OK"}}'] == 1
    assert told[f'trunkline_tokens_total{{{model},kind="input"}}'] == completion.usage.input_tokens
    assert told[f'trunkline_tokens_total{{{model},kind="output"}}'] == completion.usage.output_tokens
    assert told['trunkline_completions_total{operation="chat",outcome="completed"}'] == 1
    assert told['trunkline_attempt_duration_seconds_count{provider="sandbox"}'] == 1
    assert told['trunkline_own_time_seconds_count{operation="chat"}'] == 1
    assert "trunkline_time_to_first_token_seconds_count" not in str(told)


async def test_a_stream_tells_when_its_first_token_came(gateway: RunningGateway) -> None:
    request = chat_pb2.StreamRequest(input=question("one two three"))
    async for _ in gateway.chat.Stream(request, metadata=gateway.metadata()):
        pass
    told = await scraped(gateway)
    assert told['trunkline_time_to_first_token_seconds_count{provider="sandbox"}'] == 1
    assert told[f'trunkline_calls_total{{method="{STREAM}",code="OK"}}'] == 1


async def test_attempts_that_fail_are_counted_by_how(start_gateway: StartGateway) -> None:
    dialect = DIALECTS[0]
    async with Upstream() as upstream:
        upstream.respond(lambda _: upstream.whole(status=401, json=dialect.error("no")))
        gateway = await start_gateway(dialect.environment(upstream.url))
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(gateway, dialect.name)
        told = await scraped(gateway)
    failed = [name for name in told if name.startswith("trunkline_attempts_total")]
    assert len(failed) == 1
    assert 'provider="openai"' in failed[0]
    assert 'outcome="OK"' not in failed[0]
    assert told['trunkline_completions_total{operation="chat",outcome="failed"}'] == 1
    assert told['trunkline_provider_connections_limit{provider="openai"}'] > 1


async def test_open_breakers_and_the_house_are_told(gateway: RunningGateway) -> None:
    request = providers_pb2.OpenBreakerRequest(name="sandbox/echo")
    await gateway.providers.OpenBreaker(request, metadata=gateway.metadata())
    told = await scraped(gateway)
    assert told['trunkline_breakers_open{name="sandbox/echo"}'] == 1
    assert told["trunkline_memory_bytes"] > 10**7
    assert told["trunkline_processes"] == 1
    assert told["trunkline_ledger_waiting"] == 0
    assert told['trunkline_backlog{queue="jobs_queued"}'] == 0
    assert told['trunkline_database_connections{state="idle"}'] >= 0
    assert told["trunkline_loop_lag_seconds"] >= 0


async def test_no_label_is_about_a_caller(gateway: RunningGateway) -> None:
    await ask(gateway, user="somebody-with-a-name")
    text = (await Http(gateway).get("/metrics", authorization="")).body.decode()
    assert set(re.findall(r'[{,](\w+)="', text)) <= LABELS
    assert "somebody-with-a-name" not in text
    assert gateway.key not in text


async def test_nothing_is_counted_where_that_is_off(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(telemetry={"metrics": "false"})
    await ask(gateway)
    told = await scraped(gateway)
    assert not [name for name in told if name.startswith(("trunkline_calls_total", "trunkline_attempts_total"))]
    assert told["trunkline_live_calls"] == 0
