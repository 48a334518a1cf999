"""The official `openai` client's Responses API against the door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.http import Http

ECHO = "sandbox/echo"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "tells the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": None,
}


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[AsyncOpenAI]:
    url = f"http://{gateway.house.http_address}/v1"
    async with AsyncOpenAI(base_url=url, api_key=gateway.key, max_retries=0) as made:
        yield made


async def test_a_response(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(model=ECHO, instructions="be brief", input="one two three")
    assert (answer.output_text, answer.status) == ("one two three", "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.total_tokens) == (5, 8)
    cut = await client.responses.create(model=ECHO, input="one two three", max_output_tokens=1)
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"


async def test_a_stream(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model=ECHO, input="one two three", stream=True)
    events: list[Any] = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "one two three" == events[-1].response.output_text
    assert {event.type for event in events} >= {
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    }
    assert events[-1].response.usage.total_tokens == 6


async def test_the_streaming_helper_and_thoughts(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="sandbox/think", input="hi", reasoning={"summary": "auto"}) as stream:
        final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert final.output_text
    async with client.responses.stream(model="sandbox/refuse", input="hi") as stream:
        refused: Any = await stream.get_final_response()
    assert refused.output[0].content[0].refusal


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_and_their_results(client: AsyncOpenAI, streamed: bool) -> None:
    conversation: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "the weather?"}]}]
    if streamed:
        async with client.responses.stream(model="sandbox/tools", input=conversation, tools=[WEATHER]) as stream:
            first: Any = await stream.get_final_response()
    else:
        first = await client.responses.create(model="sandbox/tools", input=conversation, tools=[WEATHER])
    [call] = first.output
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert "city" in json.loads(call.arguments)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = await client.responses.create(
        model="sandbox/tools", input=[*conversation, *first.output, result], tools=[WEATHER]
    )
    assert "sunny" in second.output_text


async def test_structured_output(client: AsyncOpenAI) -> None:
    class Event(BaseModel):
        name: str
        people: list[str]

    answer = await client.responses.parse(model="sandbox/json", input="hi", text_format=Event)
    assert isinstance(answer.output_parsed, Event)


WRONG: list[tuple[dict[str, Any], type[openai.APIStatusError]]] = [
    ({"model": "sandbox/none-such"}, openai.NotFoundError),
    ({"previous_response_id": "resp_1"}, openai.BadRequestError),
    ({"background": True}, openai.BadRequestError),
    ({"conversation": "conv_1"}, openai.BadRequestError),
    ({"prompt": {"id": "pmpt_1"}}, openai.BadRequestError),
    ({"input": [{"type": "film"}]}, openai.BadRequestError),
    ({"tools": [{"type": "web_search"}]}, openai.BadRequestError),
    ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, openai.BadRequestError),
    ({"model": "sandbox/down"}, openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_raise_the_right_exception(client: AsyncOpenAI, stream: bool) -> None:
    asked: Any = {"model": ECHO, "input": "hi", "stream": stream}
    for changed, kind in WRONG:
        with pytest.raises(kind):
            await client.responses.create(**asked | changed)


async def test_a_stream_that_breaks_off(http: Http) -> None:
    extension = {"providerOptionsJson": {"sandbox": '{"script": {"cut_after": 1, "chunk": 1}}'}}
    asked = {"model": ECHO, "input": "one two three", "stream": True, "trunkline": extension}
    events = (await http.post("/v1/responses", asked)).events
    assert [name for name, _ in events][-2:] == ["response.failed", "error"]
    assert json.loads(events[-2][1])["response"]["error"]["code"] == "stream_interrupted"
