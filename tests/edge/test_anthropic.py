"""The official `anthropic` client against the door: its own examples, with another base URL and key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.fixtures.books import Books
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.http import Http
from tests.fixtures.upstream import Upstream

ECHO = "sandbox/echo"
HELLO: Any = [{"role": "user", "content": "one two three"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def client_of(gateway: RunningGateway, **options: Any) -> AsyncAnthropic:
    given: dict[str, Any] = {"api_key": gateway.key, "max_retries": 0, **options}
    return AsyncAnthropic(base_url=f"http://{gateway.house.http_address}", **given)


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[AsyncAnthropic]:
    async with client_of(gateway) as made:
        yield made


async def test_a_message(books: Books, client: AsyncAnthropic) -> None:
    raw = await client.messages.with_raw_response.create(
        model=ECHO, max_tokens=100, system="be brief", messages=HELLO, extra_headers={"x-trunkline-user": "ada"}
    )
    answer: Any = await raw.parse()
    assert (answer.content[0].text, answer.stop_reason) == ("one two three", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 3)
    assert raw.headers["request-id"].startswith("req_")
    assert float(raw.headers["x-trunkline-charge"]) > 0
    assert len(await books.charges()) == 1
    cut = await client.messages.create(model=ECHO, max_tokens=1, messages=HELLO)
    assert cut.stop_reason == "max_tokens"


async def test_a_bearer_key(gateway: RunningGateway) -> None:
    async with client_of(gateway, api_key=None, auth_token=gateway.key) as client:
        assert (await client.messages.create(model=ECHO, max_tokens=9, messages=HELLO)).content


async def test_a_stream_has_every_event_in_its_order(http: Http) -> None:
    asked = {"model": ECHO, "max_tokens": 100, "messages": HELLO, "stream": True}
    events = (await http.post("/v1/messages", asked, authorization="", x_api_key=http.gateway.key)).events
    names = [name for name, _ in events]
    assert names[:2] == ["message_start", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(names[2:-3]) == {"content_block_delta"}
    assert all(json.loads(data)["type"] == name for name, data in events)


async def test_the_streaming_helper(client: AsyncAnthropic) -> None:
    async with client.messages.stream(model=ECHO, max_tokens=100, messages=HELLO) as stream:
        words = [word async for word in stream.text_stream]
        final: Any = await stream.get_final_message()
    assert "".join(words) == final.content[0].text == "one two three"
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (3, 3, "end_turn")


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_and_their_results(client: AsyncAnthropic, streamed: bool) -> None:
    asked: Any = {"model": "sandbox/tools", "max_tokens": 100, "tools": [WEATHER]}
    choice: Any = {"type": "any", "disable_parallel_tool_use": True}
    if streamed:
        async with client.messages.stream(messages=HELLO, tool_choice=choice, **asked) as stream:
            first: Any = await stream.get_final_message()
    else:
        first = await client.messages.create(messages=HELLO, tool_choice=choice, **asked)
    assert first.stop_reason == "tool_use"
    [call] = first.content
    assert (call.type, call.name) == ("tool_use", "get_weather")
    assert "city" in call.input
    results: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}]
    turns: Any = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second: Any = await client.messages.create(messages=turns, **asked)
    assert "sunny" in second.content[0].text


async def test_the_runner_of_tools_sends_the_whole_again_where_nothing_is_kept(
    books: Books, client: AsyncAnthropic
) -> None:
    asked = []

    @anthropic.beta_async_tool
    async def get_weather(city: str) -> str:
        """Tells the weather."""
        asked.append(city)
        return "sunny"

    runner = client.beta.messages.tool_runner(
        model="sandbox/tools", max_tokens=100, messages=HELLO, tools=[get_weather], betas=["x-1"]
    )
    last: Any = await runner.until_done()
    assert (last.content[0].text, asked) == ("The tool says: sunny", ["text"])
    assert len(await books.charges()) == 2


async def test_documents_of_blocks_are_read(client: AsyncAnthropic) -> None:
    found = {"type": "search_result", "source": "https://a", "title": "A", "content": [{"type": "text", "text": "b"}]}
    source = {"type": "content", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]}
    messages: Any = [{"role": "user", "content": [found, {"type": "document", "source": source}]}]
    answer: Any = await client.messages.create(model=ECHO, max_tokens=9, messages=messages)
    assert answer.content[0].text.split()[-3:] == ["b", "c", "d"]


async def test_thoughts_and_their_signature(start_gateway: StartGateway, upstream: Upstream) -> None:
    """What the provider signed comes back to it unchanged."""
    [claude] = [each for each in DIALECTS if each.provider == "anthropic"]
    gateway = await start_gateway(claude.environment(upstream.url))
    content = [{"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}, {"type": "text", "text": "yes"}]
    upstream.reply(json=claude.whole("yes", 3) | {"content": content})
    upstream.reply(json=claude.whole("again", 1))
    asked: Any = {"model": claude.name, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DOT}}
    turn: Any = {"role": "user", "content": [picture, {"type": "text", "text": "so?"}]}
    async with client_of(gateway) as client:
        first: Any = await client.messages.create(messages=[turn], **asked)
        assert [block.type for block in first.content] == ["thinking", "text"]
        assert first.content[0].thinking == "hm"
        said: Any = {"role": "assistant", "content": first.content}
        await client.messages.create(messages=[turn, said, *HELLO], **asked)
    sent = upstream.requests[1].json()
    assert sent["messages"][1]["content"][0] == content[0]
    assert sent["messages"][0]["content"][0]["source"]["data"] == DOT
    assert sent["thinking"]["budget_tokens"] == 1024


async def test_thoughts_in_a_stream(client: AsyncAnthropic) -> None:
    async with client.messages.stream(
        model="sandbox/think", max_tokens=2000, messages=HELLO, thinking={"type": "enabled", "budget_tokens": 1024}
    ) as stream:
        final = await stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]


async def test_counting_tokens_and_models(client: AsyncAnthropic) -> None:
    counted = await client.messages.count_tokens(model=ECHO, messages=HELLO, system="be brief")
    assert counted.input_tokens > 3
    assert ECHO in [model.id async for model in await client.models.list()]


async def test_structured_output(client: AsyncAnthropic) -> None:
    schema: Any = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    answer: Any = await client.messages.create(
        model="sandbox/json",
        max_tokens=100,
        messages=HELLO,
        output_config=config,
    )
    assert "name" in json.loads(answer.content[0].text)


WRONG: list[tuple[dict[str, Any], type[anthropic.APIStatusError], str]] = [
    ({"model": "sandbox/none-such"}, anthropic.NotFoundError, "not_found_error"),
    ({"extra_body": {"temperature": 9}}, anthropic.BadRequestError, "invalid_request_error"),
    ({"messages": [{"role": "nobody", "content": "x"}]}, anthropic.BadRequestError, "invalid_request_error"),
    ({"messages": [{"role": "user", "content": [{"type": "film"}]}]}, anthropic.BadRequestError, ""),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, anthropic.BadRequestError, "invalid_request_error"),
    ({"extra_body": {"mcp_servers": [{}]}}, anthropic.BadRequestError, "invalid_request_error"),
    ({"model": "sandbox/down"}, anthropic.InternalServerError, "api_error"),
]


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_raise_the_right_exception(client: AsyncAnthropic, stream: bool) -> None:
    asked: Any = {"model": ECHO, "max_tokens": 9, "messages": HELLO, "stream": stream}
    for changed, kind, type_ in WRONG:
        with pytest.raises(kind) as caught:
            await client.messages.create(**asked | changed)
        body: Any = caught.value.body
        assert body["type"] == "error"
        assert not type_ or body["error"]["type"] == type_
        assert caught.value.request_id


async def test_keys_and_credits(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(credits={"default_grant": "0"})
    async with client_of(gateway, api_key="wrong") as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model=ECHO, max_tokens=9, messages=HELLO)
        with pytest.raises(anthropic.AuthenticationError) as wrong:
            await client.models.retrieve(ECHO)
        assert wrong.value.type == "authentication_error"
    async with client_of(gateway, default_headers={"x-trunkline-user": "ada"}) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model=ECHO, max_tokens=9, messages=HELLO)
    assert (caught.value.status_code, caught.value.response.headers["x-should-retry"]) == (402, "false")


async def test_a_stream_that_breaks_off(client: AsyncAnthropic) -> None:
    extension = {"providerOptionsJson": {"sandbox": '{"script": {"cut_after": 1, "chunk": 1}}'}}
    stream = await client.messages.create(
        model=ECHO, max_tokens=9, messages=HELLO, stream=True, extra_body={"trunkline": extension}
    )
    assert (await anext(aiter(stream))).type == "message_start"
    with pytest.raises(anthropic.APIStatusError):
        await to_its_end(stream)


async def to_its_end(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass
