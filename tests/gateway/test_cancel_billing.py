"""What an answer costs that its caller left: by what its provider bills, which is a fact of the provider."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from tests.fixtures.books import Books
from tests.fixtures.desk import Desk
from tests.fixtures.gateway import StartGateway, detail_of
from tests.fixtures.refusal import Refusal, refusal, refusal_of
from tests.fixtures.streams import OPENAI, pausing, read_words, rest
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream, head
from trunkline.v1 import chat_pb2, errors_pb2
from trunkline_server.gateway import drains


@pytest.fixture
def open_desk(books: Books, start_gateway: StartGateway, upstream: Upstream) -> Any:
    async def open_(billing: str) -> Desk:
        told = {"TRUNKLINE_PROVIDERS__OPENAI__CANCEL_BILLING": billing}
        return Desk(await start_gateway(OPENAI.environment(upstream.url) | told), upstream, books, OPENAI)

    return open_


async def settled(desk: Desk) -> dict[str, Any]:
    async def written() -> bool:
        return len(await desk.books.usage()) == 1

    await until(written)
    return (await desk.books.usage())[0]


async def test_drain_reads_on_and_charges_what_the_provider_says(open_desk: Any) -> None:
    desk, go = await open_desk("drain"), asyncio.Event()
    answer = pausing(desk, 2, go, OPENAI.delta("more "), OPENAI.ending(50))
    call = desk.stream()
    await read_words(call, 2)
    call.cancel()
    assert await desk.books.usage() == []
    assert answer.client_is_there
    go.set()
    row = await settled(desk)
    assert (row["outcome"], row["basis"], row["output_tokens"]) == ("OUTCOME_CANCELLED", "provider_usage", 50)
    assert row["charge_nanos"] == desk.charge(50)


async def test_drain_of_a_whole_answer(open_desk: Any) -> None:
    desk, go = await open_desk("drain"), asyncio.Event()
    body = json.dumps(OPENAI.whole("a long answer", 50)).encode()
    answer = desk.upstream.raw(
        head(200, {"content-type": "application/json", "content-length": str(len(body))}), go, body
    )
    call = asyncio.ensure_future(desk.complete())
    await answer.asked()
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    assert answer.client_is_there
    go.set()
    row = await settled(desk)
    assert (row["outcome"], row["charge_nanos"]) == ("OUTCOME_CANCELLED", desk.charge(50))


async def test_drain_tells_a_stopped_caller_what_is_known_and_charges_the_rest_later(open_desk: Any) -> None:
    desk, go = await open_desk("drain"), asyncio.Event()
    pausing(desk, 2, go, OPENAI.ending(50))
    call = desk.stream()
    completion_id = (await read_words(call, 2)).events[0].started.completion_id
    asked = chat_pb2.CancelCompletionRequest(completion_id=completion_id)
    assert await refusal(desk.gateway.chat.CancelCompletion(asked, metadata=desk.gateway.metadata())) == Refusal("OK")
    said = await rest(call)
    assert said.error is not None
    assert refusal_of(said.error).reason == "CANCELLED"
    assert 0 < detail_of(said.error, errors_pb2.PartialResult).charge.nanos < desk.charge(50)
    go.set()
    assert (await settled(desk))["charge_nanos"] == desk.charge(50)


@pytest.mark.parametrize("limit", ["DRAIN_S", "CHARS_MAX", "DRAINS_MAX"])
async def test_drain_is_bounded_and_then_counts(open_desk: Any, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(drains, limit, 0.2 if limit == "DRAIN_S" else 0)
    desk = await open_desk("drain")
    answer = pausing(desk, 2)
    call = desk.stream()
    await read_words(call, 2)
    call.cancel()
    if limit == "CHARS_MAX":
        monkeypatch.setattr(drains, "DRAIN_S", 0.2)
    row = await settled(desk)
    assert (row["basis"], row["output_tokens"]) == ("counted_partial", 3)
    await answer.client_left()


async def test_a_gateway_that_goes_away_bills_what_it_has_read(open_desk: Any) -> None:
    desk = await open_desk("drain")
    pausing(desk, 2)
    call = desk.stream()
    await read_words(call, 2)
    call.cancel()
    desk.gateway.house.drain.ask(hurry=True)
    await desk.gateway.house.until_gone()
    assert (await settled(desk))["basis"] == "counted_partial"


async def test_drain_charges_a_broken_stream_by_what_came(open_desk: Any) -> None:
    desk = await open_desk("drain")
    desk.upstream.stream([OPENAI.opening(), OPENAI.delta("word ")])
    assert (await desk.listen()).error is not None
    assert (await settled(desk))["basis"] == "counted_partial"


@pytest.mark.parametrize("words", [0, 3])
async def test_no_bill_charges_nothing(open_desk: Any, words: int) -> None:
    desk = await open_desk("no_bill")
    answer = pausing(desk, words)
    call = desk.stream()
    await (read_words(call, words) if words else answer.asked())
    call.cancel()
    row = await settled(desk)
    assert (row["basis"], row["charge_nanos"], row["output_tokens"]) == ("none", 0, 0)
    assert await desk.books.charges() == []


async def test_no_bill_charges_whole_answers(open_desk: Any) -> None:
    desk = await open_desk("no_bill")
    desk.upstream.stream(OPENAI.stream("word"))
    assert (await desk.listen()).completed.charge.nanos > 0
