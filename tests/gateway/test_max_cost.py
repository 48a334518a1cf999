"""The most that a caller wants to pay for one call: a longer answer ends there, whoever has to end it."""

from __future__ import annotations

import asyncio

from tests.fixtures.books import Books
from tests.fixtures.desk import USER, Desk, heard
from tests.fixtures.gateway import RunningGateway, question
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.streams import OPENAI, desk
from trunkline.v1 import chat_pb2
from trunkline_server.core.money import credits

__all__ = ["desk"]

INSUFFICIENT = Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT")
PER_OUTPUT = 2_000
"""Nano-credits for a token of the sandbox's models."""


async def quote(gateway: RunningGateway, input: chat_pb2.ChatInput) -> chat_pb2.QuoteResponse:
    return await gateway.chat.Quote(chat_pb2.QuoteRequest(input=input), metadata=gateway.metadata(USER))


async def complete(gateway: RunningGateway, input: chat_pb2.ChatInput) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=input)
    return (await gateway.chat.Complete(request, metadata=gateway.metadata(USER))).completion


async def test_a_call_that_cannot_be_had_for_it_is_refused(books: Books, gateway: RunningGateway) -> None:
    least_nanos = (await quote(gateway, question("word"))).least.nanos
    too_little = question("word", max_cost=credits(least_nanos - 1))
    assert await refusal(complete(gateway, too_little)) == INSUFFICIENT
    assert (await quote(gateway, too_little)).denial_reason == INSUFFICIENT.reason
    assert await books.holds() == []


async def test_an_answer_ends_where_it_is_reached(books: Books, gateway: RunningGateway) -> None:
    text = " ".join(f"word{n}" for n in range(100))
    limit_nanos = (await quote(gateway, question(text))).least.nanos + 20 * PER_OUTPUT
    limited = question(text, max_cost=credits(limit_nanos))
    quoted = await quote(gateway, limited)
    assert (quoted.allowed, quoted.max_output_tokens) == (True, 21)
    completion = await complete(gateway, limited)
    assert completion.candidates[0].finish_reason == chat_pb2.FINISH_REASON_MAX_COST
    assert completion.outcome == chat_pb2.OUTCOME_TRUNCATED
    assert 0 < completion.charge.nanos <= limit_nanos
    assert (await books.holds())[0]["amount"] <= limit_nanos


async def test_an_answer_that_costs_less_is_whole(books: Books, gateway: RunningGateway) -> None:
    least_nanos = (await quote(gateway, question("word"))).least.nanos
    completion = await complete(gateway, question("word", max_cost=credits(least_nanos + 20 * PER_OUTPUT)))
    assert completion.candidates[0].finish_reason == chat_pb2.FINISH_REASON_STOP


async def test_a_provider_that_ignores_it_is_cut(desk: Desk) -> None:
    limit_nanos = (await quote(desk.gateway, desk.question())).least.nanos + 20 * 600
    limited = chat_pb2.StreamRequest(input=desk.question(max_cost=credits(limit_nanos)))
    answer = desk.upstream.stream([OPENAI.opening(), *[OPENAI.delta("word ")] * 500, asyncio.Event()])
    said = await heard(desk.gateway.chat.Stream(limited, metadata=desk.gateway.metadata(USER)))
    await answer.client_left()
    ended = next(event.candidate_completed for event in said.events if event.HasField("candidate_completed"))
    assert ended.finish_reason == chat_pb2.FINISH_REASON_MAX_COST
    assert said.completed.outcome == chat_pb2.OUTCOME_TRUNCATED
    assert sum(await desk.books.charges()) == said.completed.charge.nanos
