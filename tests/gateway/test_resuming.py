"""Streams whose callers leave and come back: heard again where they were, asked and charged once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from typing import Any

import grpc

from tests.fixtures.books import Books
from tests.fixtures.desk import USER, Desk, Heard, heard
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.refusal import Refusal, invalid, refusal_of
from tests.fixtures.streams import OPENAI, desk, pausing, read_words, rest
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from tests.fixtures.valkey import valkey_server, valkey_url
from trunkline.v1 import chat_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call, Caller
from trunkline_server.gateway.streams.recording import Recording
from trunkline_server.gateway.streams.streams import Streams, StreamSettings

__all__ = ["desk", "valkey_server", "valkey_url"]

UNKNOWN = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
EXPIRED = Refusal("OUT_OF_RANGE", "RESUME_EXPIRED")
CANCELLED = Refusal("CANCELLED", "CANCELLED")


def begun(desk: Desk, request_id: str = "", user: str = USER) -> Any:
    """A running call that can be come back to."""
    request = chat_pb2.StreamRequest(input=desk.question(), resumable=True, request_id=request_id)
    return desk.gateway.chat.Stream(request, metadata=desk.gateway.metadata(user))


def resumed(gateway: RunningGateway, token: str, user: str = USER) -> Any:
    request = chat_pb2.ResumeStreamRequest(resume_token=token)
    return gateway.chat.ResumeStream(request, metadata=gateway.metadata(user))


def refused(error: grpc.aio.AioRpcError | None) -> Refusal:
    assert error is not None
    return refusal_of(error)


async def left(call: Any, words: int) -> Heard:
    """Reads so many words, and leaves."""
    said = await read_words(call, words)
    call.cancel()
    return said


def ended() -> tuple[Any, ...]:
    """What a provider says at its end."""
    return (OPENAI.delta("word3 "), OPENAI.ending(4))


async def test_a_caller_comes_back_to_the_next_event_and_pays_once(desk: Desk) -> None:
    more = asyncio.Event()
    pausing(desk, 3, more, *ended())
    call = begun(desk)
    before = await left(call, 3)
    token = before.events[-1].resume_token
    again = resumed(desk.gateway, token)
    more.set()
    after = await rest(again)
    assert (before.text + after.text) == "word0 word1 word2 word3 "
    assert [event.sequence for event in (*before.events, *after.events)] == list(
        range(1, len(before.events) + len(after.events) + 1)
    )
    trailers = dict(await again.trailing_metadata())
    assert trailers["x-trunkline-completion-id"] == before.events[0].started.completion_id
    assert await desk.books.charges() == [after.completed.charge.nanos]
    whole = await heard(resumed(desk.gateway, token.partition(".")[0] + ".0"))
    assert whole.events == [*before.events, *after.events], "what has ended is kept for a while"
    assert (await heard(resumed(desk.gateway, after.events[-1].resume_token))).events == []


async def test_foreign_and_unknown_streams_are_alike_and_old_ones_are_gone(desk: Desk) -> None:
    pausing(desk, 2)
    call = begun(desk)
    token = (await read_words(call, 2)).events[-1].resume_token
    assert refused((await heard(resumed(desk.gateway, token, "bob"))).error) == UNKNOWN
    unknown = "cmpl_" + "1" * 32 + ".3"
    assert refused((await heard(resumed(desk.gateway, unknown))).error) == UNKNOWN
    call.cancel()
    desk.upstream.stream([OPENAI.opening(), OPENAI.delta("a "), OPENAI.ending(2)])
    said = await desk.listen()
    old = f"{said.events[0].started.completion_id}.1"
    assert said.events[0].resume_token == ""
    assert refused((await heard(resumed(desk.gateway, old))).error) == EXPIRED
    assert refused((await heard(resumed(desk.gateway, old, "bob"))).error) == UNKNOWN


async def test_nobody_comes_back_and_what_was_said_is_charged(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    desk = await desk_of(books, start_gateway, upstream, grace_s="0.2")
    answer = pausing(desk, 2)
    token = (await left(begun(desk), 2)).events[-1].resume_token
    await answer.client_left()

    async def settled() -> bool:
        return [row["outcome"] for row in await books.usage()] == ["OUTCOME_CANCELLED"]

    await until(settled)
    assert refused((await heard(resumed(desk.gateway, token))).error) == CANCELLED


async def test_cancelling_ends_it_for_everybody_who_listens(desk: Desk) -> None:
    answer = pausing(desk, 2)
    call = begun(desk)
    said = await read_words(call, 2)
    beside = resumed(desk.gateway, said.events[0].resume_token)
    await read_words(beside, 2)
    cancel = chat_pb2.CancelCompletionRequest(completion_id=said.events[0].started.completion_id)
    await desk.gateway.chat.CancelCompletion(cancel, metadata=desk.gateway.metadata(USER))
    await answer.client_left()
    assert [refused((await rest(each)).error) for each in (call, beside)] == [CANCELLED, CANCELLED]


async def test_what_has_no_more_room_is_gone(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    desk = await desk_of(books, start_gateway, upstream, bytes_max="1000")
    words = [OPENAI.delta(f"{'x' * 400} ") for _ in range(5)]
    upstream.stream([OPENAI.opening(), *words, OPENAI.ending(6)])
    said = await heard(begun(desk))
    assert said.kinds[-1] == "completed"
    assert refused((await heard(resumed(desk.gateway, said.events[0].resume_token))).error) == EXPIRED
    assert (await heard(resumed(desk.gateway, said.events[-2].resume_token))).kinds == ["completed"]


async def test_what_is_forgotten_takes_no_memory() -> None:
    async def run(_: Call) -> AsyncGenerator[chat_pb2.StreamResponse, None]:
        started = chat_pb2.GenerationStarted(completion_id=ids.spell("cmpl", ids.new_uuid()))
        yield chat_pb2.StreamResponse(event=chat_pb2.ChatEvent(sequence=1, started=started))

    before, streams = recordings(), Streams(StreamSettings(memory_bytes_max=1))
    deadline = asyncio.get_running_loop().time() + 60
    for _ in range(3):
        call = Call("", Caller(ids.new_uuid(), "", frozenset()), "", deadline)
        assert len([event async for event in streams.recorded(call, run)]) == 1
    await streams.ended()
    assert recordings() <= before


def recordings() -> int:
    gc.collect()
    return sum(isinstance(each, Recording) for each in gc.get_objects())


async def test_a_named_stream_that_was_left_is_not_asked_again(desk: Desk) -> None:
    more = asyncio.Event()
    pausing(desk, 3, more, *ended())
    token = (await left(begun(desk, "once"), 3)).events[-1].resume_token
    busy = await heard(begun(desk, "once"))
    assert refused(busy.error) == Refusal("ABORTED", "IDEMPOTENCY_IN_PROGRESS")
    more.set()
    after = await rest(resumed(desk.gateway, token))
    repeated = await heard(begun(desk, "once"))
    assert repeated.completed == after.completed
    assert repeated.text == "word0 word1 word2 word3 "
    assert len(await desk.books.charges()) == 1


async def test_every_replica_goes_on_with_a_stream(
    books: Books, start_gateway: StartGateway, upstream: Upstream, valkey_url: str
) -> None:
    environment = {"TRUNKLINE_REDIS_URL": valkey_url, "TRUNKLINE_LIMITS__REDIS_TIMEOUT_S": "5"}
    desk = await desk_of(books, start_gateway, upstream, environment, grace_s="0.5")
    other = await start_gateway(OPENAI.environment(upstream.url) | environment)
    more = asyncio.Event()
    answer = pausing(desk, 3, more, *ended())
    before = await left(begun(desk), 3)
    again = resumed(other, before.events[1].resume_token)
    caught_up = await read_words(again, 3)
    for _ in range(4):  # longer than the grace: who listens elsewhere counts
        await again_silent(again, caught_up)
    assert answer.client_is_there
    more.set()
    after = await rest(again)
    assert before.events[2:] == caught_up.events[: len(before.events) - 2]
    assert after.kinds[-1] == "completed"
    assert dict(await again.trailing_metadata())["x-trunkline-charge"]
    assert len(await books.charges()) == 1
    assert refused((await heard(resumed(other, before.events[1].resume_token, "bob"))).error) == UNKNOWN
    whole = await heard(resumed(other, before.events[0].resume_token.partition(".")[0] + ".0"))
    assert whole.events[: len(before.events)] == before.events
    assert whole.completed == after.completed


async def again_silent(call: Any, said: Heard) -> None:
    """The next sign of life."""
    said.events.append((await call.read()).event)
    assert said.kinds[-1] == "heartbeat"


async def test_what_names_no_stream(gateway: RunningGateway) -> None:
    one, token = "cmpl_" + "1" * 32, invalid("resume_token")
    for asked, told in (
        ({}, UNKNOWN),
        ({"completion_id": "cmpl_nonsense"}, UNKNOWN),
        ({"resume_token": "nonsense"}, token),
        ({"resume_token": f"{one}.-1"}, token),
        ({"resume_token": f"{one}.1", "after_sequence": 1}, token),
    ):
        call: Any = gateway.chat.ResumeStream(chat_pb2.ResumeStreamRequest(**asked), metadata=gateway.metadata())
        assert refused((await heard(call)).error) == told


async def desk_of(
    books: Books,
    start_gateway: StartGateway,
    upstream: Upstream,
    environment: dict[str, str] | None = None,
    **streams: str,
) -> Desk:
    given = OPENAI.environment(upstream.url) | (environment or {})
    gateway = await start_gateway(given, streams=streams, grpc={"heartbeat_s": "0.2"})
    return Desk(gateway, upstream, books, OPENAI)
