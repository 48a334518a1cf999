"""Streams: what is said in which order, when the first word leaves, and what it costs."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fixtures.books import Books
from tests.fixtures.desk import USER, Desk, Heard, heard
from tests.fixtures.gateway import RunningGateway, detail_of, question
from tests.fixtures.refusal import refusal_of
from tests.fixtures.streams import OPENAI, desk, pausing, read_words, rest
from tests.fixtures.upstream import RESET
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2, usage_pb2
from trunkline_server.core.money import to_decimal_text

__all__ = ["desk"]

A_MOMENT_S = 0.15
"""Long enough for what should not happen to have happened."""


def assert_numbered(events: list[chat_pb2.ChatEvent]) -> None:
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


# Order.


@pytest.mark.parametrize("model", ["echo", "think", "refuse", "tools", "json", "count"])
async def test_events_come_in_order(books: Books, gateway: RunningGateway, model: str) -> None:
    asked = question("How are you", f"sandbox/{model}", sampling=chat_pb2.Sampling(candidate_count=2))
    asked.tools.add().function.name = "look"
    said = await heard(gateway.chat.Stream(chat_pb2.StreamRequest(input=asked), metadata=gateway.metadata(USER)))
    assert said.error is None
    assert_numbered(said.events)
    assert (said.kinds[0], said.kinds[-1]) == ("started", "completed")
    assert said.kinds[-3:-1] == ["candidate_completed", "candidate_completed"]
    assert_parts_grow(said.events)


def assert_parts_grow(events: list[chat_pb2.ChatEvent]) -> None:
    """Each part starts, grows and is whole, and is exactly the sum of its deltas."""
    grown: dict[tuple[int, int], str] = {}
    for event in events:
        if event.HasField("part_started"):
            key = (event.part_started.candidate_index, event.part_started.part_index)
            assert key not in grown
            grown[key] = ""
        elif event.HasField("part_delta"):
            delta = event.part_delta
            grown[delta.candidate_index, delta.part_index] += getattr(delta, delta.WhichOneof("delta") or "")
        elif event.HasField("part_completed"):
            whole = event.part_completed
            assert grown.pop((whole.candidate_index, whole.part_index)) == words_of(whole.part)
    assert grown == {}


def words_of(part: content_pb2.Part) -> str:
    kind = part.WhichOneof("kind") or ""
    return part.tool_call.arguments_json if kind == "tool_call" else str(getattr(part, kind).text)


async def test_nothing_is_sent_before_the_first_content(desk: Desk) -> None:
    """Not even the initial metadata: until then gRPC may try the call again by itself."""
    go = asyncio.Event()
    answer = pausing(desk, 0, go, OPENAI.delta("word "), OPENAI.ending(1))
    call = desk.stream()
    first, metadata = asyncio.ensure_future(call.read()), asyncio.ensure_future(call.initial_metadata())
    await answer.asked()
    done, _ = await asyncio.wait((first, metadata), timeout=A_MOMENT_S, return_when=asyncio.FIRST_COMPLETED)
    assert not done
    released = time.monotonic()
    go.set()
    assert (await first).event.WhichOneof("event") == "started"
    print(f"first event {1000 * (time.monotonic() - released):.1f} ms after the first content")
    assert (await rest(call)).error is None


async def test_a_failure_before_the_first_content_is_a_bare_status(desk: Desk) -> None:
    desk.upstream.reply(status=400, json=OPENAI.error("no"))
    call = desk.stream()
    said = await rest(call)
    assert (said.events, said.error and refusal_of(said.error)) == ([], ("INVALID_ARGUMENT", "PROVIDER_REJECTED", ""))
    assert not await call.initial_metadata()


async def test_deltas_of_one_write_are_one_message(desk: Desk) -> None:
    together = b"".join(map(OPENAI.delta, ("one ", "two ", "three")))
    desk.upstream.stream([OPENAI.opening(), together, OPENAI.ending(3)])
    said = await desk.listen()
    assert [event.part_delta.text for event in said.events if event.HasField("part_delta")] == ["one two three"]


async def test_a_delta_waits_for_nothing(desk: Desk) -> None:
    """Each word is read before the next one is written."""
    go = [asyncio.Event() for _ in range(5)]
    steps = [step for n, each in enumerate(go) for step in (OPENAI.delta(f"word{n} "), each)]
    desk.upstream.stream([OPENAI.opening(), *steps, OPENAI.ending(5)])
    call = desk.stream()
    for each in go:
        await read_words(call, 1)
        each.set()
    assert (await rest(call)).error is None


# Silence.


async def test_heartbeats_fill_silence_once_there_was_content(desk: Desk) -> None:
    go = asyncio.Event()
    pausing(desk, 1, go, OPENAI.delta("more"), OPENAI.ending(2))
    call, said = desk.stream(), Heard([])
    while said.kinds.count("heartbeat") < 3:
        said.events.append((await call.read()).event)
    go.set()
    said.events += (await rest(call)).events
    assert_numbered(said.events)
    assert (said.text, said.kinds[-1]) == ("word0 more", "completed")


async def test_no_heartbeat_before_content(desk: Desk) -> None:
    answer = pausing(desk, 0)
    call = desk.stream()
    first = asyncio.ensure_future(call.read())
    await answer.asked()
    await asyncio.wait((first,), timeout=A_MOMENT_S)
    assert not first.done()
    call.cancel()
    await answer.client_left()


# Bills.


async def test_trailers_carry_the_bill_of_an_answer(desk: Desk) -> None:
    desk.upstream.stream(OPENAI.stream("one ", "two"))
    call = desk.stream()
    said = await rest(call)
    assert said.completed.charge == usage_pb2.Amount(unit="CREDIT", nanos=desk.charge(2))
    trailers = dict(await call.trailing_metadata())
    assert trailers["x-trunkline-charge"] == to_decimal_text(desk.charge(2))
    assert trailers["x-trunkline-completion-id"] == said.events[0].started.completion_id
    assert trailers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("words", [1, 3])
async def test_a_stream_that_breaks_says_how_far_it_came_and_what_it_costs(desk: Desk, words: int) -> None:
    go = asyncio.Event()
    pausing(desk, words, go, RESET)
    call = desk.stream()
    said = await read_words(call, words)
    go.set()
    ended = await rest(call)
    assert ended.error is not None
    assert refusal_of(ended.error) == ("UNAVAILABLE", "STREAM_INTERRUPTED", "")
    partial = detail_of(ended.error, errors_pb2.PartialResult)
    assert partial.completion_id == said.events[0].started.completion_id
    assert partial.last_sequence == (said.events + ended.events)[-1].sequence
    assert [partial.charge.nanos] == await desk.books.charges()
    trailers = dict(ended.error.trailing_metadata() or ())
    assert trailers["x-trunkline-charge"] == to_decimal_text(partial.charge.nanos)
    assert trailers["x-trunkline-completion-id"] == partial.completion_id
