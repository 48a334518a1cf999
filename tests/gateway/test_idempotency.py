"""Calls that name themselves: one execution, one charge and one answer, whoever asks, how often, and wherever."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import Heard, heard
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, text_of
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.until import until
from tests.fixtures.upstream import RESET, Answer, Upstream
from trunkline.v1 import admin_pb2, chat_pb2
from trunkline_server.door import replays

OPENAI = DIALECTS[0]
REUSED = Refusal("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REUSED")
IN_PROGRESS = Refusal("ABORTED", "IDEMPOTENCY_IN_PROGRESS")


@pytest.fixture
async def front(books: Books, start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """A gateway before a scripted provider."""
    return await start_gateway(OPENAI.environment(upstream.url))


def _input(text: str = "Hello", **fields: Any) -> chat_pb2.ChatInput:
    return question(text, OPENAI.name, **fields)


async def _complete(
    gateway: RunningGateway,
    request_id: str = "",
    input: chat_pb2.ChatInput | None = None,
    *,
    key: str = "",
    beside: str = "",
) -> chat_pb2.CompleteResponse:
    """`beside` is the name in the metadata."""
    request = chat_pb2.CompleteRequest(input=input or _input(), request_id=request_id)
    more = {"idempotency_key": beside} if beside else {}
    return await gateway.chat.Complete(request, metadata=gateway.metadata("ada", key, **more))


def _stream(gateway: RunningGateway, request_id: str, text: str = "Hello") -> Any:
    request = chat_pb2.StreamRequest(input=_input(text), request_id=request_id)
    return gateway.chat.Stream(request, metadata=gateway.metadata("ada"))


async def _listen(gateway: RunningGateway, request_id: str, text: str = "Hello") -> Heard:
    return await heard(_stream(gateway, request_id, text))


def _answers(upstream: Upstream, text: str = "fine") -> Answer:
    return upstream.reply(json=OPENAI.whole(text, 1))


def _answers_on(upstream: Upstream, go: asyncio.Event) -> Answer:
    return upstream.stream([go, json.dumps(OPENAI.whole("fine", 1)).encode()], content_type="application/json")


async def test_the_same_request_gets_the_same_answer_once_paid(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    _answers(upstream)
    first = await _complete(front, "r1")
    for _ in range(3):
        assert await _complete(front, "r1") == first
    assert len(upstream.requests) == 1
    assert await books.charges() == [first.completion.charge.nanos]
    assert len(await books.usage()) == 1


async def test_a_repeated_answer_has_the_trailers_of_the_first(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    _answers(upstream)
    told = []
    for _ in range(2):
        request = chat_pb2.CompleteRequest(input=_input(), request_id="r1")
        call = front.chat.Complete(request, metadata=front.metadata("ada"))
        await call
        trailers = dict(await call.trailing_metadata())
        told.append([trailers[f"x-trunkline-{name}"] for name in ("completion-id", "charge")])
    assert told[0] == told[1]


async def test_a_request_may_be_named_in_the_metadata(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    _answers(upstream)
    first = await _complete(front, beside="r1")
    assert await _complete(front, "r1") == first
    assert await _complete(front, "r1", beside="r1") == first
    assert await refusal(_complete(front, "r1", beside="r2")) == invalid("request_id")
    assert len(upstream.requests) == 1


async def test_without_a_name_every_call_is_one(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    for _ in range(2):
        _answers(upstream)
        await _complete(front)
    assert len(await books.charges()) == 2


async def test_another_request_under_the_same_name_is_refused(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    _answers(upstream)
    await _complete(front, "r1")
    others = [_input("Hello!"), _input(sampling=chat_pb2.Sampling(temperature=0.5)), _input(strict_parameters=True)]
    for other in others:
        assert await refusal(_complete(front, "r1", other)) == REUSED
    request = chat_pb2.CompleteRequest(input=_input(), request_id="r1")
    assert await refusal(front.chat.Complete(request, metadata=front.metadata("eve"))) == REUSED
    assert len(upstream.requests) == len(await books.charges()) == 1


async def test_labels_and_the_order_of_maps_make_no_other_request(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    _answers(upstream)
    options = {"openai": '{"seed": 1}', "gemini": '{"a": 1}'}
    first = await _complete(front, "r1", _input(labels={"a": "1"}, provider_options_json=options))
    again = _input(labels={"b": "2"}, provider_options_json=dict(reversed(options.items())))
    assert await _complete(front, "r1", again) == first


async def test_names_belong_to_a_key_and_a_method(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="other", scopes=["chat:write"])
    other = (await front.admin.CreateApiKey(request, metadata=front.metadata())).secret
    for text in ("mine", "other's"):
        _answers(upstream, text)
    upstream.stream(OPENAI.stream("streamed"))
    mine, others = await _complete(front, "r1"), await _complete(front, "r1", key=other)
    assert [text_of(each.completion) for each in (mine, others)] == ["mine", "other's"]
    assert (await _listen(front, "r1")).text == "streamed"
    assert await _complete(front, "r1") == mine


async def test_64_at_once_are_executed_once(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    go = asyncio.Event()
    answer = _answers_on(upstream, go)
    calls = [asyncio.create_task(_outcome(front)) for _ in range(64)]
    await answer.asked()
    await until(lambda: sum(call.done() for call in calls) == 63)
    go.set()
    outcomes = await asyncio.gather(*calls)
    [whole] = [outcome for outcome in outcomes if isinstance(outcome, chat_pb2.CompleteResponse)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert Counter(map(refusal_of, refused)) == {IN_PROGRESS: 63}
    for error in refused:
        assert 0 < detail_of(error, error_details_pb2.RetryInfo).retry_delay.seconds <= 30
    assert await _complete(front, "r1") == whole
    assert len(upstream.requests) == 1
    assert await books.charges() == [whole.completion.charge.nanos]


async def _outcome(gateway: RunningGateway) -> chat_pb2.CompleteResponse | grpc.aio.AioRpcError:
    try:
        return await _complete(gateway, "r1")
    except grpc.aio.AioRpcError as error:
        return error


async def test_two_replicas_execute_once(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    replicas = [await start_gateway(OPENAI.environment(upstream.url)) for _ in range(2)]
    _answers(upstream)
    outcomes = await asyncio.gather(*(_outcome(replicas[number % 2]) for number in range(32)))
    answers = [outcome for outcome in outcomes if isinstance(outcome, chat_pb2.CompleteResponse)]
    assert answers
    assert all(answer == answers[0] for answer in answers)
    assert {refusal_of(each) for each in outcomes if isinstance(each, grpc.aio.AioRpcError)} <= {IN_PROGRESS}
    assert await _complete(replicas[1], "r1") == answers[0]
    assert len(upstream.requests) == len(await books.charges()) == 1


# Streams.


async def test_a_stream_is_repeated_event_by_event(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    upstream.stream(OPENAI.stream("one ", "two ", "three"))
    first = await _listen(front, "s1")
    again = await _listen(front, "s1")
    assert first.text == again.text == "one two three"
    assert again.events == first.events
    assert [event.sequence for event in again.events] == list(range(1, len(again.events) + 1))
    assert len(upstream.requests) == 1
    assert await books.charges() == [first.completed.charge.nanos]


async def test_heartbeats_leave_no_gap_in_a_repeated_stream(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(OPENAI.environment(upstream.url), grpc={"heartbeat_s": "0.05"})
    go = asyncio.Event()
    opening, first, second, ending = OPENAI.stream("one ", "two")
    upstream.stream([opening, first, go, second, ending])
    call = _stream(gateway, "s1")
    events: list[chat_pb2.ChatEvent] = []
    async for response in call:
        events.append(response.event)
        if response.event.HasField("heartbeat"):
            go.set()
    assert any(event.HasField("heartbeat") for event in events)
    again = await _listen(gateway, "s1")
    assert again.text == "one two"
    for sequences in ([event.sequence for event in events], [event.sequence for event in again.events]):
        assert sequences == list(range(1, len(sequences) + 1))


async def test_a_stream_that_runs_is_not_run_twice(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    go = asyncio.Event()
    opening, first, second, ending = OPENAI.stream("one ", "two")
    upstream.stream([opening, first, go, second, ending])
    call = _stream(front, "s1")
    while (await call.read()).event.part_delta.text != "one ":
        pass
    meanwhile = await _listen(front, "s1")
    assert meanwhile.error is not None
    assert (meanwhile.events, refusal_of(meanwhile.error)) == ([], IN_PROGRESS)
    go.set()
    while not (await call.read()).event.HasField("completed"):
        pass
    assert (await _listen(front, "s1")).text == "one two"
    assert len(upstream.requests) == len(await books.charges()) == 1


async def test_the_answer_is_kept_before_its_last_event_is_told(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    """A caller may leave once it has the bill, and must not be billed again."""
    for number in range(10):
        upstream.stream(OPENAI.stream("one"))
        call = _stream(front, f"s{number}")
        while not (await call.read()).event.HasField("completed"):
            pass
        call.cancel()
        states = {row["state"] for row in await books.database.fetch("SELECT state FROM idempotency")}
        assert states == {"done"}
        assert (await _listen(front, f"s{number}")).text == "one"
    assert len(upstream.requests) == len(await books.charges()) == 10


async def test_another_stream_under_the_same_name_is_refused(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    upstream.stream(OPENAI.stream("one"))
    await _listen(front, "s1")
    other = await _listen(front, "s1", "Hello!")
    assert other.error is not None
    assert refusal_of(other.error) == REUSED


async def test_a_stream_whose_caller_left_leaves_its_name_free(
    books: Books, front: RunningGateway, upstream: Upstream
) -> None:
    answer = upstream.stream([*OPENAI.stream("one ")[:2], asyncio.Event()])
    call = _stream(front, "s1")
    while (await call.read()).event.part_delta.text != "one ":
        pass
    call.cancel()
    await answer.client_left()
    upstream.stream(OPENAI.stream("again"))
    await until(lambda: _is_free(books))
    assert (await _listen(front, "s1")).text == "again"


async def _is_free(books: Books) -> bool:
    return not await books.database.fetchval("SELECT count(*) FROM idempotency")


# Failures.


@pytest.mark.parametrize("fault", ["500", "reset", "400", "429"])
async def test_a_failed_call_leaves_its_name_free(
    books: Books, front: RunningGateway, upstream: Upstream, fault: str
) -> None:
    scripts = {
        "500": lambda: [upstream.reply(status=500) for _ in range(3)],
        "reset": lambda: [upstream.raw(RESET) for _ in range(2)],
        "400": lambda: [upstream.reply(status=400)],
        "429": lambda: [upstream.reply(status=429)],
    }
    scripts[fault]()
    assert (await refusal(_complete(front, "r1"))).code in ("UNAVAILABLE", "INVALID_ARGUMENT")
    _answers(upstream)
    assert (await _complete(front, "r1")).completion.candidates
    assert len(await books.charges()) == 1


async def test_a_refused_call_leaves_its_name_free(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(OPENAI.environment(upstream.url), credits={"default_grant": "0"})
    for _ in range(2):
        refused = await refusal(_complete(gateway, "r1"))
        assert refused == Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT")
    assert upstream.requests == []
    assert await _is_free(books)


async def test_an_invalid_call_takes_no_name(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    bad = _input(sampling=chat_pb2.Sampling(temperature=-1))
    assert (await refusal(_complete(front, "r1", bad))).reason == "VALIDATION"
    _answers(upstream)
    await _complete(front, "r1")


@pytest.mark.parametrize("name", ["x" * 256, "a\nb", "a\0b", "é", "\x7f"])
async def test_names_that_are_none(books: Books, front: RunningGateway, upstream: Upstream, name: str) -> None:
    assert await refusal(_complete(front, name)) == invalid("request_id")
    assert upstream.requests == []


@pytest.mark.parametrize("name", ["x" * 255, "' OR '1'='1", "~", " "])
async def test_odd_names_that_are_good(books: Books, front: RunningGateway, upstream: Upstream, name: str) -> None:
    _answers(upstream)
    assert await _complete(front, name) == await _complete(front, name)
    assert len(upstream.requests) == 1


# Replicas that die.


async def test_a_name_whose_owner_is_dead_is_taken_over(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    dying, living = [await start_gateway(OPENAI.environment(upstream.url)) for _ in range(2)]
    stuck, go = asyncio.Event(), asyncio.Event()
    first = _answers_on(upstream, stuck)
    lost = asyncio.create_task(_outcome(dying))
    await first.asked()
    assert await refusal(_complete(living, "r1")) == IN_PROGRESS
    await books.database.execute("UPDATE idempotency SET lease_until = clock_timestamp() - interval '1 s'")
    second = _answers_on(upstream, go)
    taken = asyncio.create_task(_complete(living, "r1"))
    await second.asked()
    go.set()
    answer = await taken
    stuck.set()
    late = await lost
    assert isinstance(late, chat_pb2.CompleteResponse | grpc.aio.AioRpcError)
    assert await _complete(living, "r1") == answer
    assert [row["fence"] for row in await books.database.fetch("SELECT fence FROM idempotency")] == [2]


async def test_an_owner_that_comes_back_too_late_cannot_free_the_name(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    dying, living = [await start_gateway(OPENAI.environment(upstream.url)) for _ in range(2)]
    first = upstream.hang()
    lost = asyncio.create_task(_outcome(dying))
    await first.asked()
    await books.database.execute("UPDATE idempotency SET lease_until = clock_timestamp() - interval '1 s'")
    _answers(upstream)
    answer = await _complete(living, "r1")
    lost.cancel()
    await first.client_left()
    await dying.house.gateway.drained()
    assert await _complete(living, "r1") == answer
    assert len(upstream.requests) == 2


async def test_an_execution_that_lost_its_name_is_ended(
    books: Books, front: RunningGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "HEARTBEAT_S", 0.05)
    answer = upstream.hang()
    lost = asyncio.create_task(_outcome(front))
    await answer.asked()
    await books.database.execute("UPDATE idempotency SET fence = fence + 1, owner = 'another'")
    error = await lost
    assert isinstance(error, grpc.aio.AioRpcError)
    assert refusal_of(error) == IN_PROGRESS
    await answer.client_left()
    assert not await _is_free(books)


async def test_many_questions_are_repeated_together(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    upstream.respond(lambda _: upstream.whole(json=OPENAI.whole("fine", 1)))
    request = chat_pb2.CompleteManyRequest(inputs=[_input("a"), _input("b")], request_id="m1")
    first = await front.chat.CompleteMany(request, metadata=front.metadata("ada"))
    assert await front.chat.CompleteMany(request, metadata=front.metadata("ada")) == first
    assert len(upstream.requests) == len(await books.charges()) == 2


async def test_a_finished_answer_is_found_by_its_id(books: Books, front: RunningGateway, upstream: Upstream) -> None:
    _answers(upstream)
    first = (await _complete(front, "r1")).completion
    request = chat_pb2.GetCompletionRequest(completion_id=first.completion_id)
    found = (await front.chat.GetCompletion(request, metadata=front.metadata("ada"))).completion
    assert (found.candidates, found.charge, found.usage) == (first.candidates, first.charge, first.usage)


async def test_a_named_call_is_not_made_while_its_name_cannot_be_written_down(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    impatient = {"command_timeout_s": "0.3"}
    front = await start_gateway(OPENAI.environment(upstream.url), database=impatient)
    async with books.database.transaction() as connection:
        await connection.execute("LOCK TABLE idempotency IN ACCESS EXCLUSIVE MODE")
        assert await refusal(_complete(front, "r1")) == Refusal("UNAVAILABLE", "STORE_UNAVAILABLE")
    assert upstream.requests == []
    _answers(upstream)
    assert (await _complete(front, "r1")).completion.candidates
