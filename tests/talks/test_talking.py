"""Calls within conversations: the history goes with them, and what is said stays there, as far as it came."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.fixtures.desk import USER, Desk, heard
from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of, user
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.streams import OPENAI, desk, pausing, read_words, rest
from tests.fixtures.talks import Speaker, reply, settings, words
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, chat_pb2, content_pb2, conversations_pb2

__all__ = ["desk"]

TRIMMED = chat_pb2.WARNING_CODE_HISTORY_TRIMMED
OPENAI_MODEL = OPENAI.name


@pytest.fixture
def ada(gateway: RunningGateway) -> Speaker:
    return Speaker(gateway, "ada")


@pytest.fixture
def eve(desk: Desk) -> Speaker:
    """Speaks to the scripted provider."""
    return Speaker(desk.gateway, USER)


def sent(desk: Desk, request: int = -1) -> list[tuple[str, Any]]:
    """What the provider was told: roles and contents."""
    return [(each["role"], each["content"]) for each in desk.upstream.requests[request].json()["messages"]]


def says(desk: Desk, text: str) -> None:
    """The provider's next answer."""
    desk.upstream.reply(json=OPENAI.whole(text, 1))


async def test_a_call_is_kept_with_its_answer_and_bill(ada: Speaker) -> None:
    talk = await ada.begin()
    answer = await ada.ask(talk, "hello there")
    assert answer.conversation_id == talk
    asked, answered = await ada.kept(talk)
    assert (asked.message, asked.completion_id, asked.model) == (user("hello there"), answer.completion_id, "")
    assert words(answered.message) == "hello there"
    assert (answered.provider, answered.model, answered.user_id) == ("sandbox", "echo", "ada")
    assert (answered.usage, answered.cost, answered.charge) == (answer.usage, answer.cost, answer.charge)
    assert answered.outcome == chat_pb2.OUTCOME_COMPLETED
    assert answered.response_duration.ToNanoseconds() > 0


async def test_a_stream_is_kept_alike(ada: Speaker) -> None:
    talk = await ada.begin()
    said = await heard(ada.stream(talk, "hello there"))
    assert said.events[0].started.conversation_id == talk
    _, answered = await ada.kept(talk)
    assert words(answered.message) == said.text == "hello there"
    assert (answered.usage, answered.charge) == (said.completed.usage, said.completed.charge)
    assert answered.completion_id == said.events[0].started.completion_id


async def test_the_history_goes_with_the_next_call(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(system_prompt="be kind", settings=settings(default_model=OPENAI_MODEL, temperature=0.5))
    says(desk, "two")
    await eve.ask(talk, "one")
    says(desk, "four")
    await eve.ask(talk, "three")
    told = desk.upstream.requests[-1].json()
    assert [role for role, _ in sent(desk)] == ["system", "user", "assistant", "user"]
    assert [words_of(content) for _, content in sent(desk)] == ["be kind", "one", "two", "three"]
    assert told["temperature"] == 0.5
    assert await eve.said(talk) == ["one", "two", "three", "four"]


def words_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


async def test_what_the_call_says_wins(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model="sandbox/echo", temperature=0.5))
    says(desk, "two")
    await eve.ask(talk, "one", OPENAI_MODEL, sampling=chat_pb2.Sampling(temperature=1))
    assert desk.upstream.requests[-1].json()["temperature"] == 1


async def test_instructions_of_a_call_are_for_it_alone(ada: Speaker) -> None:
    talk = await ada.begin()
    system = content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=user("shout").parts)
    input = chat_pb2.ChatInput(conversation_id=talk, messages=[system, user("hi")])
    await ada.gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=ada.metadata)
    assert await ada.said(talk) == ["hi", "hi"]


async def test_only_whole_turns_are_sent_and_what_is_left_out_is_told(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL, max_messages=3))
    await eve.append(talk, user("1"), reply("2"), user("3"), reply("4"))
    says(desk, "6")
    answer = await eve.ask(talk, "5")
    assert [words_of(content) for _, content in sent(desk)] == ["3", "4", "5"]
    (warning,) = [each for each in answer.warnings if each.code == TRIMMED]
    assert warning.message == "the oldest 2 of 4 messages of the conversation were not sent"
    desk.upstream.stream([OPENAI.opening(), OPENAI.delta("8"), OPENAI.ending(1)])
    said = await heard(eve.stream(talk, "7"))
    assert [each.code for each in said.completed.warnings if each.code == TRIMMED] == [TRIMMED]
    assert await eve.said(talk) == ["1", "2", "3", "4", "5", "6", "7", "8"]


async def test_tool_calls_stay_with_their_results(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL, max_messages=3))
    calls = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT)
    calls.parts.add().tool_call.MergeFrom(content_pb2.ToolCallPart(call_id="one", name="look", arguments_json="{}"))
    result = content_pb2.Message(role=content_pb2.ROLE_TOOL)
    result.parts.add().tool_result.MergeFrom(content_pb2.ToolResultPart(call_id="one", parts=user("seen").parts))
    await eve.append(talk, user("look"), calls, result, reply("it is seen"))
    says(desk, "ok")
    await eve.ask(talk, "and now?")
    assert [role for role, _ in sent(desk)] == ["user"]
    await eve.update(talk, settings=settings(default_model=OPENAI_MODEL, max_messages=8))
    says(desk, "ok")
    await eve.ask(talk, "and now?")
    assert [role for role, _ in sent(desk)] == ["user", "assistant", "tool", "assistant", "user", "assistant", "user"]


async def test_a_call_that_nobody_answered_is_not_sent(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL))
    calls = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT)
    calls.parts.add().tool_call.MergeFrom(content_pb2.ToolCallPart(call_id="one", name="look", arguments_json="{}"))
    await eve.append(talk, user("look"), calls)
    says(desk, "ok")
    await eve.ask(talk, "never mind")
    assert [words_of(content) for _, content in sent(desk)] == ["look", "never mind"]


async def test_the_result_of_a_tool_is_all_that_a_call_need_bring(ada: Speaker) -> None:
    talk = await ada.begin(settings=settings(default_model="sandbox/tools", max_messages=1))
    tool = content_pb2.Tool(function=content_pb2.FunctionTool(name="look"))
    answer = await ada.ask(talk, "look", tools=[tool])
    (call,) = [part.tool_call for part in answer.candidates[0].message.parts if part.HasField("tool_call")]
    result = content_pb2.Message(role=content_pb2.ROLE_TOOL)
    result.parts.add().tool_result.MergeFrom(
        content_pb2.ToolResultPart(call_id=call.call_id, name="look", parts=user("a bird").parts)
    )
    input = chat_pb2.ChatInput(conversation_id=talk, messages=[result], tools=[tool])
    told = await ada.gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=ada.metadata)
    assert "a bird" in text_of(told.completion)
    assert len(await ada.kept(talk)) == 4


async def test_a_history_is_cut_to_the_window_of_the_model(start_gateway: StartGateway, upstream: Upstream) -> None:
    model = {"name": "small", "context_window": 1000, "input_price": "1", "output_price": "1"}
    gateway = await start_gateway(
        {
            "TRUNKLINE_PROVIDERS__MINE__BASE_URL": f"{upstream.url}/v1",
            "TRUNKLINE_PROVIDERS__MINE__MODELS": json.dumps([model]),
        }
    )
    ada = Speaker(gateway, "ada")
    talk = await ada.begin(settings=settings(default_model="mine/small"))
    for n in range(10):
        await ada.append(talk, user(f"{n} " + "word " * 60), reply("yes"))
    upstream.reply(json=OPENAI.whole("ok", 1))
    answer = await ada.ask(talk, "and?")
    told = upstream.requests[-1].json()["messages"]
    assert 1 < len(told) < 21
    assert len(told) % 2 == 1
    assert told[-3]["content"].startswith("9 ")
    assert [each.code for each in answer.warnings] == [TRIMMED]


async def test_calls_at_once_take_turns_and_none_is_lost(ada: Speaker) -> None:
    talk = await ada.begin()
    await asyncio.gather(*(ada.ask(talk, f"number {n}") for n in range(12)))
    said = await ada.said(talk)
    assert sorted(said[::2]) == sorted(f"number {n}" for n in range(12))
    assert said[::2] == said[1::2]


async def test_replicas_take_turns_too(ada: Speaker, start_gateway: StartGateway) -> None:
    other = Speaker(await start_gateway(), "ada")
    talk = await ada.begin()
    await asyncio.gather(*((ada, other)[n % 2].ask(talk, f"number {n}") for n in range(8)))
    said = await ada.said(talk)
    assert len(said) == 16
    assert said[::2] == said[1::2]


async def test_what_is_added_while_an_answer_is_made_comes_before_it(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL))
    go = asyncio.Event()
    desk.upstream.stream([OPENAI.opening(), OPENAI.delta("two "), go, OPENAI.ending(1)])
    call = eve.stream(talk, "one")
    await read_words(call, 1)
    await eve.append(talk, user("between"))
    go.set()
    await rest(call)
    assert await eve.said(talk) == ["between", "one", "two "]


async def test_a_stream_that_is_left_leaves_what_was_said(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL))
    pausing(desk, 2)
    call = eve.stream(talk, "say")
    await read_words(call, 2)
    call.cancel()

    async def kept() -> bool:
        return (await eve.look(talk)).message_count == 2

    await until(kept)
    _, answered = await eve.kept(talk)
    assert (words(answered.message), answered.outcome) == ("word0 word1 ", chat_pb2.OUTCOME_CANCELLED)
    assert answered.charge.nanos == (await desk.books.usage())[0]["charge_nanos"] > 0
    says(desk, "more")
    await eve.ask(talk, "go on")
    assert [words_of(content) for _, content in sent(desk)] == ["say", "word0 word1 ", "go on"]


async def test_a_stream_that_is_stopped_leaves_what_was_said(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL))
    pausing(desk, 2)
    call = eve.stream(talk, "say")
    said = await read_words(call, 2)
    request = chat_pb2.CancelCompletionRequest(completion_id=said.events[0].started.completion_id)
    await desk.gateway.chat.CancelCompletion(request, metadata=eve.metadata)
    assert (await rest(call)).error is not None
    _, answered = await eve.kept(talk)
    assert (words(answered.message), answered.outcome) == ("word0 word1 ", chat_pb2.OUTCOME_CANCELLED)


async def test_a_stream_that_breaks_leaves_what_was_said(ada: Speaker) -> None:
    talk = await ada.begin(settings=settings(default_model="sandbox/cut"))
    said = await heard(ada.stream(talk, "one two three four five"))
    assert said.error is not None
    _, answered = await ada.kept(talk)
    assert (words(answered.message), answered.outcome) == (said.text, chat_pb2.OUTCOME_FAILED)
    assert answered.charge.nanos > 0


async def test_a_call_that_says_nothing_leaves_no_trace_and_no_turn(ada: Speaker) -> None:
    talk = await ada.begin()
    assert (await refusal(ada.ask(talk, "hi", "sandbox/down"))).code != "OK"
    assert (await heard(ada.stream(talk, "hi", "sandbox/down"))).error is not None
    assert await refusal(ada.ask(talk, "hi", "sandbox/no-such")) == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
    assert await ada.said(talk) == []
    await asyncio.wait_for(ada.ask(talk, "now"), 10)
    assert await ada.said(talk) == ["now", "now"]


async def test_a_caller_who_leaves_before_its_turn_takes_none(desk: Desk, eve: Speaker) -> None:
    talk = await eve.begin(settings=settings(default_model=OPENAI_MODEL))
    go = asyncio.Event()
    desk.upstream.stream([OPENAI.opening(), OPENAI.delta("one "), go, OPENAI.ending(1)])
    first = eve.stream(talk, "first")
    await read_words(first, 1)
    waiting = asyncio.ensure_future(eve.ask(talk, "second"))
    third = asyncio.ensure_future(eve.ask(talk, "third"))
    await asyncio.sleep(0)
    waiting.cancel()
    says(desk, "three")
    go.set()
    await rest(first)
    await asyncio.wait_for(third, 20)
    assert [each for each in await eve.said(talk) if each != "second"][-2:] == ["third", "three"]


async def test_titles(ada: Speaker) -> None:
    talk = await ada.begin()
    await ada.ask(talk, "What  is\nthe tallest mountain that anybody has ever climbed alone and without oxygen?")
    title = (await ada.look(talk)).title
    assert title == "What is the tallest mountain that anybody has ever climbed…"
    await ada.ask(talk, "And the second?")
    assert (await ada.look(talk)).title == title
    named = await ada.begin(title="mine")
    await ada.ask(named, "hello")
    assert (await ada.look(named)).title == "mine"
    off = await ada.begin(settings=settings(auto_title=conversations_pb2.AUTO_TITLE_OFF))
    await ada.ask(off, "hello")
    assert (await ada.look(off)).title == ""


async def test_a_model_makes_a_title(ada: Speaker) -> None:
    made = settings(auto_title=conversations_pb2.AUTO_TITLE_MODEL, title_model="sandbox/lorem")
    talk = await ada.begin(settings=made)
    await ada.ask(talk, "hello")

    async def titled() -> bool:
        return bool((await ada.look(talk)).title)

    await until(titled)
    assert (await ada.look(talk)).title.startswith("lorem ipsum")
    broken = settings(auto_title=conversations_pb2.AUTO_TITLE_MODEL, title_model="sandbox/down")
    talk = await ada.begin(settings=broken)
    await ada.ask(talk, "hello")
    await until(titled)
    assert (await ada.look(talk)).title == "hello"


async def test_a_conversation_counts_and_is_priced_with_its_history(ada: Speaker) -> None:
    talk = await ada.begin()
    await ada.append(talk, user("word " * 500), reply("yes"))
    counted = chat_pb2.CountTokensRequest(input=chat_pb2.ChatInput(conversation_id=talk, messages=[user("hi")]))
    assert (await ada.gateway.chat.CountTokens(counted, metadata=ada.metadata)).input_tokens > 500
    assert (await ada.look(talk)).message_count == 2


async def test_what_a_conversation_lacks_is_refused(ada: Speaker, gateway: RunningGateway) -> None:
    talk = await ada.begin(settings=conversations_pb2.ConversationSettings())
    assert await refusal(ada.ask(talk, "hi")) == invalid("input.model")
    empty = chat_pb2.CompleteRequest(input=chat_pb2.ChatInput(model="sandbox/echo", conversation_id=talk))
    told = await refusal(gateway.chat.Complete(empty, metadata=ada.metadata))
    assert told == invalid("input.messages")
    assert await ada.said(talk) == []
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["chat:write"])
    key = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    asked = chat_pb2.CompleteRequest(input=question("hi", conversation_id=talk))
    told = await refusal(gateway.chat.Complete(asked, metadata=gateway.metadata("ada", key)))
    assert told == Refusal("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_a_repeated_call_is_kept_once(ada: Speaker) -> None:
    talk = await ada.begin()
    request = chat_pb2.CompleteRequest(input=question("hi", conversation_id=talk), request_id="r")
    one = await ada.gateway.chat.Complete(request, metadata=ada.metadata)
    assert await ada.gateway.chat.Complete(request, metadata=ada.metadata) == one
    assert await ada.said(talk) == ["hi", "hi"]


async def test_many_questions_in_one_conversation_are_answered_one_by_one(ada: Speaker) -> None:
    talk = await ada.begin()
    inputs = [chat_pb2.ChatInput(conversation_id=talk, messages=[user(str(n))]) for n in range(4)]
    request = chat_pb2.CompleteManyRequest(inputs=inputs, max_concurrency=4)
    answers = (await ada.gateway.chat.CompleteMany(request, metadata=ada.metadata)).results
    assert [text_of(each.completion) for each in answers] == ["0", "1", "2", "3"]
    said = await ada.said(talk)
    assert said[::2] == said[1::2]
