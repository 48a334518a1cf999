"""Summaries, over a socket: what is left out of a call goes with it in short."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.desk import USER, Desk
from tests.fixtures.gateway import user
from tests.fixtures.streams import OPENAI, desk
from tests.fixtures.talks import Speaker, reply, settings
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, conversations_pb2, guard_pb2

__all__ = ["desk"]

SUMMED = settings(default_model=OPENAI.name, max_messages=4, summarize=True)


@pytest.fixture
def eve(desk: Desk) -> Speaker:
    return Speaker(desk.gateway, USER)


def sent(desk: Desk, request: int = -1) -> list[Any]:
    return [each["content"] for each in desk.upstream.requests[request].json()["messages"]]


async def test_what_is_left_out_goes_into_a_summary(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=SUMMED)
    await eve.append(talk, *(each(str(n)) for n in range(3) for each in (user, reply)))
    for text in ("two numbers", "ok"):
        desk.upstream.reply(json=OPENAI.whole(text, 1))
    answer = await eve.ask(talk, "and?")
    _, transcript = sent(desk, -2)
    assert transcript == "user: 0\nassistant: 0\nuser: 1\nassistant: 1\nuser: 2"
    assert sent(desk) == ["[What was said before, in short: two numbers]", "1", "1", "2", "2", "and?"]
    assert not answer.warnings
    told = await eve.look(talk)
    assert (told.summary, told.summary_through_position) == ("two numbers", 5)
    assert len(await desk.books.charges()) == 2


async def test_a_summary_lasts_until_it_is_behind(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=SUMMED)
    await eve.append(talk, *(each(str(n)) for n in range(3) for each in (user, reply)))
    for text in ("first", "ok", "ok", "second", "ok"):
        desk.upstream.reply(json=OPENAI.whole(text, 1))
    for _ in range(3):
        await eve.ask(talk, "and?")
    assert len(desk.upstream.requests) == 5
    _, transcript = sent(desk, -2)
    assert transcript.startswith("Before:\nfirst\n\nSince then:\nassistant: 2\n")
    assert (await eve.look(talk)).summary == "second"


async def test_a_call_does_without_where_none_can_be_made(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(max_messages=2, summarize=True, summary_model="sandbox/down"))
    await eve.append(talk, *(each(str(n)) for n in range(3) for each in (user, reply)))
    answer = await eve.ask(talk, "and?", "sandbox/echo")
    assert [each.code for each in answer.warnings] == [chat_pb2.WARNING_CODE_HISTORY_TRIMMED]
    assert (await eve.look(talk)).summary == ""


async def test_what_a_call_keeps_from_the_provider_is_kept_from_it_beside_the_call_too(
    desk: Desk, eve: Speaker
) -> None:
    long = await eve.begin(settings=settings(max_messages=2, summarize=True))
    await eve.append(long, *(each("write to ann@example.org") for _ in range(3) for each in (user, reply)))
    new = await eve.begin(settings=settings(auto_title=conversations_pb2.AUTO_TITLE_MODEL))
    for _ in range(4):
        desk.upstream.reply(json=OPENAI.whole("ok", 1))
    guard = guard_pb2.Guard(input=guard_pb2.GuardRule(personal_data=guard_pb2.GUARD_LEVEL_STANDARD))
    for talk in (long, new):
        await eve.ask(talk, "is ann@example.org right?", OPENAI.name, guard=guard)
    await until(lambda: len(desk.upstream.requests) == 4)
    assert not any(b"ann@example.org" in each.body for each in desk.upstream.requests)


async def test_counting_and_pricing_make_none(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(max_messages=2, summarize=True))
    await eve.append(talk, *(each(str(n)) for n in range(3) for each in (user, reply)))
    input = chat_pb2.ChatInput(conversation_id=talk, messages=[user("and?")])
    await desk.gateway.chat.Quote(chat_pb2.QuoteRequest(input=input), metadata=eve.metadata)
    await desk.gateway.chat.CountTokens(chat_pb2.CountTokensRequest(input=input), metadata=eve.metadata)
    assert (await eve.look(talk)).summary == ""
    assert await desk.books.charges() == []


async def test_a_summary_goes_with_what_it_sums_up(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=SUMMED)
    await eve.append(talk, *(each(str(n)) for n in range(3) for each in (user, reply)))
    for text in ("two numbers", "ok"):
        desk.upstream.reply(json=OPENAI.whole(text, 1))
    await eve.ask(talk, "and?")
    conversations = desk.gateway.conversations
    for through, summary in ((0, "two numbers"), (5, "two numbers"), (4, "")):
        request = conversations_pb2.ForkConversationRequest(conversation_id=talk, through_position=through)
        forked = (await conversations.ForkConversation(request, metadata=eve.metadata)).conversation
        assert forked.summary == summary
    clear = conversations_pb2.ClearConversationRequest(conversation_id=talk)
    await conversations.ClearConversation(clear, metadata=eve.metadata)
    assert (await eve.look(talk)).summary == ""
