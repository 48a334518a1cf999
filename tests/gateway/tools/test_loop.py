"""The loop in which a model calls tools that the gateway runs: rounds, limits, the bill, and what a stream tells."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, reason_of, text_of, user
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.streams import OPENAI, read_words, rest
from tests.fixtures.tooling import complete, kinds, near, register, results, scripted, streamed, using
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, chat_pb2, content_pb2, errors_pb2, usage_pb2

DONE = chat_pb2.TOOL_RUN_STATE_SUCCEEDED
CALL = ("add", {"a": 1, "b": 2})


@pytest.fixture
async def gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With a tool that always says 3."""
    gateway = await near(start_gateway, upstream, rounds_max=3)
    await register(gateway, f"{upstream.url}/add")
    upstream.respond(lambda _: upstream.whole(json={"sum": 3}))
    return gateway


async def test_a_model_calls_a_tool_and_tells_what_it_said(gateway: RunningGateway, upstream: Upstream) -> None:
    answer = await complete(gateway, using("add"))
    assert kinds(answer) == ["tool_call", "tool_result", "text"]
    assert text_of(answer) == 'The tool says: {"sum": 3}'
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_STOP
    called = answer.candidates[0].message.parts[0].tool_call
    assert called.executor == content_pb2.TOOL_EXECUTOR_GATEWAY
    assert len(upstream.requests) == 1
    assert upstream.requests[0].headers["webhook-id"] == called.call_id


async def test_every_round_is_on_the_bill(books: Books, gateway: RunningGateway) -> None:
    answer = await complete(gateway, using("add"))
    assert answer.tool_round_count == 1
    assert [[run.state for run in each.runs] for each in answer.tool_rounds] == [[DONE], []]
    assert answer.completion_id == answer.tool_rounds[0].completion_id
    assert answer.charge.nanos == sum(each.charge.nanos for each in answer.tool_rounds) > 0
    assert answer.cost.nanos == sum(each.cost.nanos for each in answer.tool_rounds)
    assert answer.usage.output_tokens == sum(each.usage.output_tokens for each in answer.tool_rounds)
    assert len(answer.attempts) == 2


async def test_a_stream_tells_the_same(gateway: RunningGateway) -> None:
    events = await streamed(gateway, using("add"))
    told = [event.WhichOneof("event") for event in events]
    assert told[0] == "started"
    assert told[-2:] == ["candidate_completed", "completed"]
    assert told.count("started") == told.count("completed") == told.count("candidate_completed") == 1
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    states = [event.tool_progress.run.state for event in events if event.HasField("tool_progress")]
    assert states == [chat_pb2.TOOL_RUN_STATE_RUNNING, DONE]
    parts = [event.part_completed for event in events if event.HasField("part_completed")]
    assert [part.part_index for part in parts] == [0, 1, 2]
    assert [part.part.WhichOneof("kind") for part in parts] == ["tool_call", "tool_result", "text"]
    bill = events[-1].completed
    assert bill.charge.nanos == sum(each.charge.nanos for each in bill.tool_rounds) > 0


async def test_the_answer_can_be_sent_back_as_it_is(gateway: RunningGateway) -> None:
    first = await complete(gateway, using("add"))
    again = using("add", model="sandbox/echo")
    again.messages.extend((first.candidates[0].message, user("thanks")))
    assert text_of(await complete(gateway, again)) == "thanks"
    plain = chat_pb2.ChatInput(model="sandbox/echo", messages=again.messages)
    assert text_of(await complete(gateway, plain)) == "thanks"


async def test_calls_run_at_once_but_not_more_than_may(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await near(start_gateway, upstream, parallel_max=2, rounds_max=1)
    await register(gateway, upstream.url)
    go = asyncio.Event()
    for _ in range(3):
        upstream.stream([b"{", go, b"}"], content_type="application/json")
    asking = asyncio.create_task(complete(gateway, scripted(CALL, CALL, CALL)))
    await until(lambda: len(upstream.requests) == 2)
    go.set()
    answer = await asking
    assert [result.structured_json for result in results(answer)] == ["{}"] * 3
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_MAX_TOOL_ROUNDS


@pytest.mark.parametrize(("asked", "rounds"), [(None, 3), (2, 2), (0, 0), (60, 3)])
async def test_rounds_have_an_end(books: Books, gateway: RunningGateway, asked: int | None, rounds: int) -> None:
    answer = await complete(gateway, scripted(CALL, max_tool_rounds=asked))
    assert answer.tool_round_count == rounds
    assert len(answer.tool_rounds) == rounds + 1
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_MAX_TOOL_ROUNDS
    assert answer.outcome == chat_pb2.OUTCOME_TRUNCATED


async def test_what_was_left_at_the_last_round_goes_on_when_sent_back(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    first = await complete(gateway, scripted(CALL, max_tool_rounds=0))
    assert upstream.requests == []
    again = using("add")
    again.messages.append(first.candidates[0].message)
    answer = await complete(gateway, again)
    assert kinds(answer) == ["tool_result", "text"]
    assert len(upstream.requests) == 1
    told = await streamed(gateway, again)
    assert [event.part_completed.part_index for event in told if event.HasField("part_completed")] == [0, 1]


async def test_all_rounds_together_keep_to_the_cost_limit(books: Books, gateway: RunningGateway) -> None:
    asked = chat_pb2.QuoteRequest(input=scripted(CALL))
    least = (await gateway.chat.Quote(asked, metadata=gateway.metadata("ada"))).least.nanos
    limit = usage_pb2.Amount(unit="CREDIT", nanos=least + 10_000)  # for one round and not for two
    answer = await complete(gateway, scripted(CALL, max_cost=limit))
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_MAX_COST
    assert answer.outcome == chat_pb2.OUTCOME_TRUNCATED
    assert 0 < answer.charge.nanos <= limit.nanos


async def test_the_model_hears_what_went_wrong(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.respond(lambda _: upstream.whole(b"secret words", status=500))
    answer = await complete(gateway, using("add"))
    (result,) = results(answer)
    assert result.is_error
    assert "secret words" not in str(answer)
    (run,) = answer.tool_rounds[0].runs
    assert (run.state, run.failure_reason) == (chat_pb2.TOOL_RUN_STATE_FAILED, "TOOL_FAILED")
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_STOP


@pytest.mark.parametrize("call", [("add", {"a": "x"}), ("add", "no json"), ("nobody", {})])
async def test_a_wrong_call_never_leaves(gateway: RunningGateway, upstream: Upstream, call: tuple[str, object]) -> None:
    answer = await complete(gateway, scripted(call, max_tool_rounds=1))
    (result,) = results(answer)
    assert result.is_error
    assert upstream.requests == []


async def test_the_callers_own_calls_are_the_callers(gateway: RunningGateway, upstream: Upstream) -> None:
    input = scripted(CALL, ("mine", {}))
    input.tools.add().function.name = "mine"
    answer = await complete(gateway, input)
    assert kinds(answer) == ["tool_call", "tool_call", "tool_result"]
    assert answer.candidates[0].finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    mine = answer.candidates[0].message.parts[1].tool_call
    assert mine.executor == content_pb2.TOOL_EXECUTOR_CALLER
    assert len(upstream.requests) == 1
    again = using("add", model="sandbox/tools")
    again.messages.append(answer.candidates[0].message)
    reply = content_pb2.ToolResultPart(call_id=mine.call_id, name="mine", parts=user("done").parts)
    again.messages.add(role=content_pb2.ROLE_TOOL).parts.add(tool_result=reply)
    assert text_of(await complete(gateway, again)) == "The tool says: done"


async def test_who_leaves_leaves_nothing_open(books: Books, gateway: RunningGateway, upstream: Upstream) -> None:
    answer = upstream.hang()
    call = gateway.chat.Stream(chat_pb2.StreamRequest(input=using("add")), metadata=gateway.metadata("ada"))
    await answer.asked()
    call.cancel()
    await answer.client_left()


async def test_a_call_can_be_stopped_while_a_tool_runs(
    books: Books, gateway: RunningGateway, upstream: Upstream
) -> None:
    answer = upstream.hang()
    call = gateway.chat.Stream(chat_pb2.StreamRequest(input=using("add")), metadata=gateway.metadata("ada"))
    events = aiter(call)
    started = (await anext(events)).event.started
    await answer.asked()
    stop = chat_pb2.CancelCompletionRequest(completion_id=started.completion_id)
    await gateway.chat.CancelCompletion(stop, metadata=gateway.metadata("ada"))
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async for _ in events:
            pass
    assert reason_of(ended.value) == "CANCELLED"
    assert detail_of(ended.value, errors_pb2.PartialResult).charge.nanos > 0
    await answer.client_left()


async def test_a_round_that_is_stopped_tells_what_all_were_charged(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await near(start_gateway, upstream, environment=OPENAI.environment(upstream.url))
    await register(gateway, f"{upstream.url}/add")
    called = {
        "index": 0,
        "id": "one",
        "type": "function",
        "function": {"name": "add", "arguments": json.dumps(CALL[1])},
    }
    choice = {"index": 0, "delta": {"tool_calls": [called]}, "finish_reason": "tool_calls"}
    calling = f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
    upstream.stream([calling, b"data: [DONE]\n\n"])
    upstream.reply(json={"sum": 3})
    upstream.stream([OPENAI.opening(), OPENAI.delta("word "), asyncio.Event()])
    request = chat_pb2.StreamRequest(input=using("add", model=OPENAI.name))
    call = gateway.chat.Stream(request, metadata=gateway.metadata("ada"))
    said = await read_words(call, 1)
    stop = chat_pb2.CancelCompletionRequest(completion_id=said.events[0].started.completion_id)
    await gateway.chat.CancelCompletion(stop, metadata=gateway.metadata("ada"))
    ended = (await rest(call)).error
    assert ended is not None
    assert reason_of(ended) == "CANCELLED"
    charges = await books.charges()
    assert len(charges) == 2
    assert detail_of(ended, errors_pb2.PartialResult).charge.nanos == sum(charges)


async def test_a_round_that_fails_tells_what_was_used(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await near(
        start_gateway, upstream, environment={"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
    )
    await register(gateway, f"{upstream.url}/add")
    called = {"id": "one", "type": "function", "function": {"name": "add", "arguments": json.dumps(CALL[1])}}
    said = {"message": {"role": "assistant", "tool_calls": [called]}, "finish_reason": "tool_calls"}
    upstream.reply(json={"choices": [said], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    upstream.reply(json={"sum": 3})
    upstream.reply(json={"error": {"message": "no"}}, status=400)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await complete(gateway, using("add", model="openai/gpt-4o"))
    assert reason_of(failed.value) == "PROVIDER_REJECTED"
    partial = detail_of(failed.value, errors_pb2.PartialResult)
    assert (partial.usage.input_tokens, partial.usage.output_tokens) == (7, 3)
    assert partial.charge.nanos > 0
    trailers = dict(failed.value.trailing_metadata() or ())
    assert trailers["x-trunkline-completion-id"] == partial.completion_id


async def test_a_key_needs_the_scope(gateway: RunningGateway) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="chatter", scopes=["chat:write"])
    made = await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())
    asked = chat_pb2.CompleteRequest(input=using("add"))
    heard = await refusal(gateway.chat.Complete(asked, metadata=gateway.metadata(key=made.secret)))
    assert heard == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_what_is_not_there_is_said_before_anything_is_spent(gateway: RunningGateway) -> None:
    assert await refusal(complete(gateway, using("nobody"))) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await refusal(complete(gateway, using("add", "add"))) == invalid("input.tools[1]")
    two = using("add", sampling=chat_pb2.Sampling(candidate_count=2))
    assert await refusal(complete(gateway, two)) == invalid("input.sampling.candidate_count")


async def test_a_quote_counts_the_tools(gateway: RunningGateway) -> None:
    metadata = gateway.metadata("ada")
    with_tool = await gateway.chat.Quote(chat_pb2.QuoteRequest(input=using("add")), metadata=metadata)
    without = await gateway.chat.Quote(chat_pb2.QuoteRequest(input=using()), metadata=metadata)
    assert with_tool.input_tokens > without.input_tokens
