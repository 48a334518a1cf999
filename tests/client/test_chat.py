"""Asking models with the Python client, over the socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import pydantic
import pytest

from tests.fixtures.gateway import RunningGateway
from trunkline import (
    Answer,
    AsyncTrunkline,
    Finished,
    OutputInvalid,
    Said,
    Started,
    ToolAsked,
    ToolError,
    ToolRan,
    ToolRoundsSpent,
    Trunkline,
    TrunklineError,
    assistant,
    user,
)
from trunkline.v1 import chat_pb2


async def test_a_word_and_an_answer(trunkline: AsyncTrunkline) -> None:
    answer = await trunkline.chat("Hello out there")

    assert str(answer) == answer.text == "Hello out there"
    assert answer.model == "sandbox/echo"
    assert answer.charge == Decimal("0.000009")
    assert answer.finish_reason == "STOP"


async def test_the_synchronous_client_says_the_same(gateway: RunningGateway) -> None:
    def talk() -> tuple[str, list[str], str]:
        with Trunkline(gateway.house.grpc_address, key=gateway.key) as trunkline:
            stream = trunkline.stream("one two three")
            return trunkline.chat("hello").text, list(stream), stream.answer.text

    text, pieces, whole = await asyncio.to_thread(talk)

    assert text == "hello"
    assert "".join(pieces) == whole == "one two three"


async def test_options_make_a_new_question_and_leave_the_old_one(trunkline: AsyncTrunkline) -> None:
    plain = trunkline.model("sandbox/count")
    short = plain.max_tokens(2).temperature(0.8).stop("never").labels(page="start").user("u1")

    assert (await short.send("to 5")).finish_reason == "MAX_OUTPUT_TOKENS"
    assert (await plain.send("to 5")).text == "1 2 3 4 5"
    assert short.input("x").sampling == chat_pb2.Sampling(
        max_output_tokens=2, temperature=0.8, stop_sequences=["never"]
    )


async def test_the_user_pays(trunkline: AsyncTrunkline) -> None:
    answer = await trunkline.user("u1").send("one two three")

    assert await trunkline.credits.balance("u1") == Decimal(100) - answer.charge


async def test_what_was_said_before_goes_along(trunkline: AsyncTrunkline) -> None:
    first = await trunkline.system("be brief").send("hello")
    later = trunkline.messages(*first.messages).input("and now?")

    assert [part.parts[0].text.text for part in later.messages] == ["be brief", "hello", "hello", "and now?"]
    assert trunkline.messages(user("a"), assistant("b")).input().messages[1].parts[0].text.text == "b"


async def test_a_stream_yields_text_and_keeps_the_answer(trunkline: AsyncTrunkline) -> None:
    stream = trunkline.model("sandbox/count").candidates(2).stream("to 3")
    with pytest.raises(RuntimeError, match="not ended"):
        _ = stream.answer

    pieces = [piece async for piece in stream]

    assert "".join(pieces) == stream.answer.text == "1 2 3"
    assert stream.answer.texts == ("1 2 3", "1 2 3")
    assert stream.answer.charge > 0


async def test_a_stream_yields_what_happens(trunkline: AsyncTrunkline) -> None:
    happened = [each async for each in trunkline.stream("one two").happenings()]

    assert isinstance(happened[0], Started)
    assert isinstance(happened[-1], Finished)
    assert "".join(each.text for each in happened if isinstance(each, Said)) == "one two"


async def test_a_stream_that_is_folded_is_the_answer_in_one_piece(trunkline: AsyncTrunkline) -> None:
    stream = trunkline.stream("one two")
    [event async for event in stream.events()]
    folded, whole = stream.answer.completion, (await trunkline.send("one two")).completion

    for completion in (folded, whole):
        for name in ("completion_id", "create_time", "end_time", "provider_response_id", "attempts"):
            completion.ClearField(name)
    assert folded == whole


async def test_leaving_a_stream_stops_it(trunkline: AsyncTrunkline) -> None:
    question = trunkline.options("sandbox", script={"answer": "lorem", "endless": True, "pace_ms": 1})
    completion_id = ""
    async with question.stream("go") as stream:
        async for each in stream.happenings():
            completion_id = completion_id or getattr(each, "completion_id", "")
            if isinstance(each, Said):
                break
    stub = trunkline.channel.unary_unary(
        "/trunkline.v1.ChatService/GetCompletion",
        request_serializer=chat_pb2.GetCompletionRequest.SerializeToString,
        response_deserializer=chat_pb2.GetCompletionResponse.FromString,
    )

    async with asyncio.timeout(20):
        while True:
            request = chat_pb2.GetCompletionRequest(completion_id=completion_id)
            outcome = (await stub(request, metadata=trunkline.metadata)).completion.outcome
            if outcome != chat_pb2.OUTCOME_UNSPECIFIED:
                break
    assert outcome == chat_pb2.OUTCOME_CANCELLED


@dataclass
class City:
    """A city."""

    name: str
    population: Annotated[int, "How many people live there"]
    sister: str | None = None


class Town(pydantic.BaseModel):
    """The same, for pydantic."""

    name: str
    population: int


async def test_an_answer_becomes_a_dataclass(trunkline: AsyncTrunkline) -> None:
    script = {"json": {"name": "Kyiv", "population": 2_950_000}}

    city = await trunkline.model("sandbox/json").options("sandbox", script=script).into(City).send("Which city?")

    assert city.value == City("Kyiv", 2_950_000)
    assert city.answer.charge > 0


async def test_an_answer_becomes_a_pydantic_model(trunkline: AsyncTrunkline) -> None:
    town = await trunkline.model("sandbox/json").into(Town).send("Which town?")

    assert isinstance(town.value, Town)


async def test_an_answer_of_another_shape_is_refused(trunkline: AsyncTrunkline) -> None:
    with pytest.raises(OutputInvalid) as raised:
        await trunkline.model("sandbox/json-wrong").into(City).send("Which city?")

    assert raised.value.partial is not None
    assert raised.value.partial.charge.nanos > 0


def temperature(city: str, unit: str = "C") -> dict[str, Any]:
    """The temperature in a city.

    Right now.
    """
    if city == "nowhere":
        raise ToolError("there is no such city")
    return {"city": city, "degrees": 21, "unit": unit}


async def slow_temperature(city: str) -> str:
    await asyncio.sleep(0)
    return f"21 degrees in {city}"


async def test_tools_are_run_until_there_is_an_answer(trunkline: AsyncTrunkline) -> None:
    answer: Answer = await trunkline.model("sandbox/tools").tools(temperature).send("How warm is it?")

    assert '"degrees": 21' in answer.text
    assert [len(answer.rounds), len(answer.messages)] == [2, 4]
    assert answer.charge == sum((Answer(each).charge for each in answer.rounds), Decimal(0))


async def test_an_asynchronous_tool_is_awaited(trunkline: AsyncTrunkline) -> None:
    answer = await trunkline.model("sandbox/tools").tools(slow_temperature).send("How warm is it?")

    assert "21 degrees in" in answer.text


async def test_a_synchronous_client_has_no_use_for_an_asynchronous_tool(gateway: RunningGateway) -> None:
    with Trunkline(gateway.house.grpc_address, key=gateway.key, model="sandbox/tools") as trunkline:
        assert "21" in (await asyncio.to_thread(trunkline.tools(temperature).send, "warm?")).text
        with pytest.raises(TypeError, match="use AsyncTrunkline"):
            await asyncio.to_thread(trunkline.tools(slow_temperature).send, "warm?")


async def test_tools_are_run_in_a_stream_too(trunkline: AsyncTrunkline) -> None:
    stream = trunkline.model("sandbox/tools").tools(temperature).stream("How warm is it?")

    happened = [each async for each in stream.happenings()]

    order = [type(each) for each in happened if isinstance(each, Started | ToolAsked | ToolRan | Finished)]
    assert order == [Started, ToolAsked, ToolRan, Started, Finished]
    assert '"degrees": 21' in stream.answer.text


async def test_tools_in_a_conversation_say_nothing_twice(trunkline: AsyncTrunkline) -> None:
    talk = await trunkline.conversations.create(model="sandbox/tools")

    await talk.tools(temperature).send("How warm is it?")

    roles = [each.message.role async for each in talk.history()]
    assert len(roles) == 4


async def test_a_tool_may_refuse_and_the_model_is_told(trunkline: AsyncTrunkline) -> None:
    def temperature(city: str) -> str:
        raise ToolError(f"{city} is not on the map")

    answer = await trunkline.model("sandbox/tools").tools(temperature).send("How warm is it?")

    assert "is not on the map" in answer.text
    assert answer.messages[2].parts[0].tool_result.is_error


async def test_a_fault_in_a_tool_is_the_callers_own(trunkline: AsyncTrunkline) -> None:
    def temperature(city: str) -> str:
        raise LookupError(city)

    with pytest.raises(LookupError):
        await trunkline.model("sandbox/tools").tools(temperature).send("How warm is it?")


async def test_tools_do_not_go_on_for_ever(trunkline: AsyncTrunkline) -> None:
    script = {"tool_calls": [{"name": "temperature", "arguments": {"city": "Oslo"}}]}

    with pytest.raises(ToolRoundsSpent) as raised:
        await trunkline.options("sandbox", script=script).tools(temperature, rounds_max=2).send("How warm is it?")

    assert len(raised.value.answer.rounds) == 3


async def test_a_declared_tool_is_left_to_the_caller(trunkline: AsyncTrunkline) -> None:
    declared = trunkline.model("sandbox/tools").tools(temperature).input("x").tools[0]

    answer = await trunkline.model("sandbox/tools").tools(declared).send("How warm is it?")

    assert answer.finish_reason == "TOOL_CALLS"
    assert answer.tool_calls[0].name == "temperature"
    assert isinstance(answer.tool_calls[0].arguments["city"], str)


async def test_many_questions_in_one_call(trunkline: AsyncTrunkline) -> None:
    first, second = await trunkline.many(["one", trunkline.model("sandbox/down").input("two")])

    assert isinstance(first, Answer)
    assert first.text == "one"
    assert isinstance(second, TrunklineError)
    assert second.reason == "PROVIDERS_EXHAUSTED"


async def test_what_it_would_cost(trunkline: AsyncTrunkline) -> None:
    assert await trunkline.count_tokens("one two three") >= 3
    assert (await trunkline.max_tokens(10).quote("one two three")).allowed
