"""The official `openai` client against the door: its own examples, with another base URL and key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.fixtures.books import Books
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.http import Http
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2

ECHO = "sandbox/echo"
OPENAI = DIALECTS[0]
HELLO: Any = [{"role": "user", "content": "one two three"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "tells the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def script(**lines: Any) -> Any:
    """Goes as `extra_body`."""
    return {"trunkline": {"providerOptionsJson": {"sandbox": json.dumps({"script": lines})}}}


def client_of(gateway: RunningGateway, **options: Any) -> AsyncOpenAI:
    given: dict[str, Any] = {"api_key": gateway.key, "max_retries": 0, **options}
    return AsyncOpenAI(base_url=f"http://{gateway.house.http_address}/v1", **given)


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(gateway) as made:
        yield made


async def to_its_end(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


async def test_a_completion(books: Books, client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model=ECHO, messages=HELLO, extra_headers={"x-trunkline-user": "ada"}, metadata={"app": "test"}
    )
    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("one two three", "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 3, 6)
    assert answer.id == raw.headers["x-trunkline-completion-id"]
    assert raw.headers["x-trunkline-provider"] == "sandbox"
    assert float(raw.headers["x-trunkline-charge"]) > 0
    assert len(await books.charges()) == 1


async def test_a_stream(books: Books, client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=ECHO, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.total_tokens, chunks[-1].choices) == (6, [])
    assert chunks[-1].model_extra is not None
    assert float(chunks[-1].model_extra["trunkline"]["charge"]) > 0
    assert stream.response.headers["x-trunkline-model"] == "echo"


async def test_a_stream_without_usage_has_none(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model=ECHO, messages=HELLO, stream=True)
    assert [chunk async for chunk in stream if not chunk.choices] == []


async def test_tools_and_their_results(client: AsyncOpenAI) -> None:
    asked: Any = [{"role": "system", "content": "be brief"}, *HELLO]
    first = await client.chat.completions.create(
        model="sandbox/tools", messages=asked, tools=[WEATHER], tool_choice="auto", parallel_tool_calls=False
    )
    message: Any = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    call: Any = message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = await client.chat.completions.create(
        model="sandbox/tools", messages=[*asked, message, result], tools=[WEATHER]
    )
    assert "sunny" in (second.choices[0].message.content or "")


async def test_parallel_calls_in_a_stream(client: AsyncOpenAI) -> None:
    calls = [{"name": "get_weather", "arguments": {"city": city}} for city in ("Rome", "Oslo")]
    async with client.chat.completions.stream(
        model="sandbox/tools", messages=HELLO, tools=[WEATHER], extra_body=script(tool_calls=calls)
    ) as stream:
        final = await stream.get_final_completion()
    told: Any = final.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in told] == ["Rome", "Oslo"]
    assert len({call.id for call in told}) == 2


async def test_structured_output(client: AsyncOpenAI) -> None:
    class Event(BaseModel):
        name: str
        people: list[str]

    answer = await client.chat.completions.parse(model="sandbox/json", messages=HELLO, response_format=Event)
    assert isinstance(answer.choices[0].message.parsed, Event)
    plain = await client.chat.completions.create(
        model="sandbox/json", messages=HELLO, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(plain.choices[0].message.content or ""), dict)


async def test_thoughts_refusals_and_several_answers(client: AsyncOpenAI) -> None:
    thought: Any = await client.chat.completions.create(model="sandbox/think", messages=HELLO, reasoning_effort="low")
    assert thought.choices[0].message.reasoning_content
    refused = await client.chat.completions.create(model="sandbox/refuse", messages=HELLO)
    assert refused.choices[0].message.refusal
    several = await client.chat.completions.create(model=ECHO, messages=HELLO, n=2)
    assert [choice.index for choice in several.choices] == [0, 1]
    cut = await client.chat.completions.create(model=ECHO, messages=HELLO, max_tokens=1, stop=["x"], temperature=1)
    assert cut.choices[0].finish_reason == "length"


async def test_what_reaches_the_provider(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await start_gateway(OPENAI.environment(upstream.url))
    upstream.reply(json=OPENAI.whole("seen", 1))
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    content: Any = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{dot}", "detail": "low"}},
    ]
    async with client_of(gateway) as client:
        await client.chat.completions.create(
            model=OPENAI.name, messages=[{"role": "user", "content": content}], temperature=0.5, top_p=0.9, seed=7
        )
    sent = upstream.requests[0].json()
    assert (sent["temperature"], sent["top_p"], sent["seed"]) == (0.5, 0.9, 7)
    assert sent["messages"][0]["content"][1]["image_url"] == {"url": f"data:image/png;base64,{dot}", "detail": "low"}


async def test_models(client: AsyncOpenAI) -> None:
    models = [model.id async for model in await client.models.list()]
    assert ECHO in models
    assert (await client.models.retrieve(ECHO)).owned_by == "sandbox"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("sandbox/none")


# Errors.


WRONG: list[tuple[dict[str, Any], type[openai.APIStatusError], str]] = [
    ({"model": "sandbox/none-such"}, openai.NotFoundError, "model_not_found"),
    ({"temperature": 9}, openai.BadRequestError, "validation"),
    ({"messages": []}, openai.BadRequestError, "validation"),
    ({"messages": [{"role": "nobody", "content": "x"}]}, openai.BadRequestError, "validation"),
    ({"messages": [{"role": "user", "content": [{"type": "film"}]}]}, openai.BadRequestError, "validation"),
    ({"messages": "text"}, openai.BadRequestError, "validation"),
    ({"functions": [{"name": "f"}]}, openai.BadRequestError, "validation"),
    ({"modalities": ["text", "audio"]}, openai.BadRequestError, "validation"),
    ({"web_search_options": {}}, openai.BadRequestError, "validation"),
    ({"model": "sandbox/down"}, openai.InternalServerError, "providers_exhausted"),
    ({"model": "sandbox/json-wrong", "response_format": {"type": "json_object"}}, openai.InternalServerError, ""),
    ({"extra_body": {"trunkline": {"nonsense": 1}}}, openai.BadRequestError, "validation"),
]


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_raise_the_right_exception(client: AsyncOpenAI, stream: bool) -> None:
    for changed, kind, code in WRONG:
        if stream and "response_format" in changed:
            continue
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(**{"model": ECHO, "messages": HELLO, "stream": stream} | changed)
        assert caught.value.response.headers["x-request-id"]
        assert not code or caught.value.code == code


async def test_a_field_that_is_wrong_is_named(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=ECHO, messages=HELLO, temperature=9)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=ECHO, messages=HELLO, extra_body={"n": "two"})
    assert caught.value.param == "n"


async def test_keys_scopes_and_credits(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(credits={"default_grant": "0"})
    async with client_of(gateway, api_key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model=ECHO, messages=HELLO)
    made = await gateway.admin.CreateApiKey(
        admin_pb2.CreateApiKeyRequest(name="reader", scopes=["models:read"]), metadata=gateway.metadata()
    )
    async with client_of(gateway, api_key=made.secret) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model=ECHO, messages=HELLO)
    async with client_of(gateway, default_headers={"x-trunkline-user": "ada"}) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model=ECHO, messages=HELLO)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"


async def test_a_stream_that_breaks_off(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=ECHO, messages=HELLO, stream=True, extra_body=script(cut_after=1, chunk=1)
    )
    assert (await anext(stream)).choices[0].delta.content
    with pytest.raises(openai.APIError, match=r"broke off|interrupted"):
        await to_its_end(stream)


BEYOND = [
    ("/v1/chat/completions", b'"seed": 1' + b"0" * 40),
    ("/v1/chat/completions", b'"tools": [{"function": {"name": "f", "parameters": "\xff"}}]'),
    ("/v1/responses", b'"max_output_tokens": 99999999999'),
    ("/v1/messages", b'"max_tokens": 99999999999'),
    ("/v1/messages", b'"max_tokens": 9, "tools": [{"name": "f", "input_schema": "\xff"}]'),
    ("/v1/images/generations", b'"n": 99999999999'),
    ("/v1/embeddings", b'"dimensions": 99999999999'),
]


@pytest.mark.parametrize(("path", "field"), BEYOND)
async def test_what_no_message_can_hold(http: Http, path: str, field: bytes) -> None:
    body = b'{"model": "sandbox/echo", "messages": [], "input": "x", "prompt": "x", %b}' % field
    answer = await http.post(path, body=body)
    assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_what_no_client_sends(http: Http) -> None:
    for body in (b"nonsense", b"[]", b'"x"', b"{}", b"\xff", b"[" * 50_000, b'{"model": 1}'):
        answer = await http.post("/v1/chat/completions", body=body)
        assert (answer.status, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (await http.get("/v1/chat/completions")).status == 405
    assert (await http.post("/v1/nothing")).json()["error"]["type"] == "invalid_request_error"
