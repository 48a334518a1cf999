"""Prompts, over a socket: made, listed, rendered, and used in calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.fixtures.gateway import Metadata, RunningGateway, question, text_of, user
from tests.fixtures.refusal import Refusal, invalid, refusal, send
from tests.fixtures.talks import another_tenant
from trunkline.v1 import chat_pb2, content_pb2, prompts_pb2

NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
NO_VERSION = Refusal("NOT_FOUND", "PROMPT_VERSION_NOT_FOUND")
EXISTS = Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")


async def make(gateway: RunningGateway, name: str, *texts: str, request_id: str = "") -> prompts_pb2.Prompt:
    messages = [user(text) for text in texts]
    request = prompts_pb2.CreatePromptRequest(name=name, messages=messages, request_id=request_id)
    return (await gateway.prompts.CreatePrompt(request, metadata=gateway.metadata())).prompt


async def add(gateway: RunningGateway, name: str, text: str, *, make_default: bool = False) -> int:
    request = prompts_pb2.CreatePromptVersionRequest(prompt=name, messages=[user(text)], make_default=make_default)
    return (await gateway.prompts.CreatePromptVersion(request, metadata=gateway.metadata())).version.version


async def render(gateway: RunningGateway, prompt: str, number: int = 0, **variables: str) -> str:
    request = prompts_pb2.RenderPromptRequest(prompt=prompt, version=number, variables=variables)
    answer = await gateway.prompts.RenderPrompt(request, metadata=gateway.metadata())
    return " / ".join(part.text.text for message in answer.messages for part in message.parts)


async def ask(
    gateway: RunningGateway, ref: chat_pb2.PromptRef, *messages: content_pb2.Message, metadata: Metadata = ()
) -> chat_pb2.Completion:
    input = chat_pb2.ChatInput(model="sandbox/echo", prompt=ref, messages=messages)
    answer = await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=metadata or gateway.metadata())
    return answer.completion


def ref(name: str, number: int = 0, variables: Mapping[str, str] = {}) -> chat_pb2.PromptRef:
    return chat_pb2.PromptRef(prompt=name, version=number, variables=variables)


async def test_a_prompt_has_numbered_versions_and_one_is_the_default(gateway: RunningGateway) -> None:
    made = await make(gateway, "greet", "hello {name}")
    assert (made.default_version, made.latest_version) == (1, 1)
    assert await add(gateway, "greet", "hi {name}") == 2
    assert await render(gateway, "greet", name="ada") == "hello ada"
    assert await render(gateway, made.prompt_id, 2, name="ada") == "hi ada"
    request = prompts_pb2.SetDefaultVersionRequest(prompt="greet", version=2)
    changed = (await gateway.prompts.SetDefaultVersion(request, metadata=gateway.metadata())).prompt
    assert (changed.default_version, changed.latest_version) == (2, 2)
    assert await render(gateway, "greet", name="ada") == "hi ada"
    assert await add(gateway, "greet", "yo {name}", make_default=True) == 3
    assert await render(gateway, "greet", name="ada") == "yo ada"


async def test_versions_made_at_once_get_numbers_of_their_own(gateway: RunningGateway) -> None:
    await make(gateway, "greet", "0")
    numbers = await asyncio.gather(*(add(gateway, "greet", str(each)) for each in range(10)))
    assert sorted(numbers) == list(range(2, 12))
    request = prompts_pb2.ListPromptVersionsRequest(prompt="greet", page_size=6)
    first = await gateway.prompts.ListPromptVersions(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.prompts.ListPromptVersions(request, metadata=gateway.metadata())
    assert [each.version for each in (*first.versions, *second.versions)] == list(range(11, 0, -1))
    assert not second.next_page_token


async def test_what_a_version_holds_is_told(gateway: RunningGateway) -> None:
    request = prompts_pb2.CreatePromptRequest(
        name="team/greet.v1",
        description="greets",
        messages=[content_pb2.Message(role=content_pb2.ROLE_SYSTEM, parts=user("be {mood}").parts), user("{text}")],
        variables=[prompts_pb2.PromptVariable(name="mood", default_value="kind", description="how")],
        note="the first",
    )
    await gateway.prompts.CreatePrompt(request, metadata=gateway.metadata())
    asked = prompts_pb2.GetPromptRequest(prompt="team/greet.v1")
    told = await gateway.prompts.GetPrompt(asked, metadata=gateway.metadata())
    assert told.prompt.description == "greets"
    assert (told.version.note, told.version.version) == ("the first", 1)
    assert told.version.created_by
    assert {each.name: each.default_value for each in told.version.variables} == {"mood": "kind", "text": ""}
    assert list(told.version.messages) == list(request.messages)
    assert await render(gateway, "team/greet.v1", text="hey") == "be kind / hey"


async def test_prompts_are_listed_by_name(gateway: RunningGateway) -> None:
    for name in ("c", "a", "B"):
        await make(gateway, name, "x")
    request = prompts_pb2.ListPromptsRequest(page_size=2)
    first = await gateway.prompts.ListPrompts(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.prompts.ListPrompts(request, metadata=gateway.metadata())
    assert [each.name for each in (*first.prompts, *second.prompts)] == ["B", "a", "c"]
    request.page_token = first.next_page_token[:-2] + "AA"
    told = await refusal(gateway.prompts.ListPrompts(request, metadata=gateway.metadata()))
    assert told == invalid("page_token", "PAGE_TOKEN_INVALID")


async def test_a_name_is_there_once_until_it_is_forgotten(gateway: RunningGateway) -> None:
    made = await make(gateway, "greet", "one", request_id="r")
    assert (await make(gateway, "greet", "one", request_id="r")).prompt_id == made.prompt_id
    assert await refusal(make(gateway, "greet", "two")) == EXISTS
    request = prompts_pb2.DeletePromptRequest(prompt="greet")
    await gateway.prompts.DeletePrompt(request, metadata=gateway.metadata())
    assert await refusal(gateway.prompts.DeletePrompt(request, metadata=gateway.metadata())) == NOT_FOUND
    assert await refusal(render(gateway, made.prompt_id)) == NOT_FOUND
    assert (await make(gateway, "greet", "two")).prompt_id != made.prompt_id


async def test_a_call_uses_a_prompt_and_says_which(gateway: RunningGateway) -> None:
    made = await make(gateway, "greet", "hello {name}")
    await add(gateway, "greet", "hi {name}")
    answer = await ask(gateway, ref("greet", variables={"name": "{secret}"}))
    assert text_of(answer) == "hello {secret}"
    assert (answer.prompt.prompt_id, answer.prompt.name, answer.prompt.version) == (made.prompt_id, "greet", 1)
    answer = await ask(gateway, ref(made.prompt_id, 2, {"name": "ada"}))
    assert (text_of(answer), answer.prompt.version) == ("hi ada", 2)
    answer = await ask(gateway, ref("greet", variables={"name": "ada"}), user("and more"))
    assert text_of(answer) == "and more"


async def test_each_version_has_kept_answers_of_its_own(gateway: RunningGateway) -> None:
    """Though its words are those of another."""
    await make(gateway, "greet", "hello")
    await add(gateway, "greet", "hello")
    policy = chat_pb2.CachePolicy(mode=chat_pb2.CACHE_MODE_USE)

    async def status(**fields: Any) -> str:
        input = chat_pb2.ChatInput(model="sandbox/echo", cache=policy, **fields)
        answer = await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=gateway.metadata())
        return chat_pb2.CacheStatus.Name(answer.completion.cache_status).removeprefix("CACHE_STATUS_")

    assert [await status(prompt=ref("greet")) for _ in range(2)] == ["MISS", "HIT"]
    assert await status(prompt=ref("greet", 1)) == "HIT"
    assert [await status(prompt=ref("greet", 2)) for _ in range(2)] == ["MISS", "HIT"]
    request = prompts_pb2.SetDefaultVersionRequest(prompt="greet", version=2)
    await gateway.prompts.SetDefaultVersion(request, metadata=gateway.metadata())
    assert await status(prompt=ref("greet")) == "HIT"
    assert await status(messages=[user("hello")]) == "MISS"


async def test_a_stream_says_which_prompt_it_uses(gateway: RunningGateway) -> None:
    made = await make(gateway, "greet", "hello {name}")
    input = chat_pb2.ChatInput(model="sandbox/echo", prompt=ref("greet", variables={"name": "ada"}))
    call = gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=gateway.metadata())
    events = [response.event async for response in call]
    (started,) = [event.started for event in events if event.HasField("started")]
    assert (started.prompt.prompt_id, started.prompt.version) == (made.prompt_id, 1)
    assert "".join(event.part_delta.text for event in events) == "hello ada"


async def test_prompts_are_priced_and_counted_as_they_would_be_sent(gateway: RunningGateway) -> None:
    await make(gateway, "greet", "hello {name}")
    input = chat_pb2.ChatInput(model="sandbox/echo", prompt=ref("greet", variables={"name": "ada " * 100}))
    asked = chat_pb2.CountTokensRequest(input=input)
    counted = await gateway.chat.CountTokens(asked, metadata=gateway.metadata())
    assert counted.input_tokens > 100
    quoted = await gateway.chat.Quote(chat_pb2.QuoteRequest(input=input), metadata=gateway.metadata())
    plain = chat_pb2.QuoteRequest(input=question("hello " + "ada " * 100))
    assert quoted == await gateway.chat.Quote(plain, metadata=gateway.metadata())


async def test_what_cannot_be_rendered_is_refused_by_name(gateway: RunningGateway) -> None:
    await make(gateway, "greet", "hello {name}")
    assert await refusal(render(gateway, "greet")) == invalid("variables['name']")
    assert await refusal(render(gateway, "greet", name="a", more="b")) == invalid("variables['more']")
    assert await refusal(render(gateway, "greet", 9, name="a")) == NO_VERSION
    assert await refusal(render(gateway, "nobody")) == NOT_FOUND
    assert await refusal(ask(gateway, ref("greet"))) == invalid("input.prompt.variables['name']")
    assert await refusal(ask(gateway, ref("greet", 9, {"name": "a"}))) == NO_VERSION
    assert await refusal(ask(gateway, ref("nobody"))) == NOT_FOUND
    request = prompts_pb2.SetDefaultVersionRequest(prompt="greet", version=9)
    assert await refusal(gateway.prompts.SetDefaultVersion(request, metadata=gateway.metadata())) == NO_VERSION


async def test_templates_that_are_refused(gateway: RunningGateway) -> None:
    here = "messages[0].parts[0].text.text"
    for text in ("{{ ''.__class__ }}", "{{ 'a'*300000000 }}", "{% for a in b %}", "{a", "{a.b}"):
        assert await refusal(make(gateway, "greet", text)) == invalid(here)
        assert await refusal(add(gateway, "greet", text)) == invalid(here)
    for name in ("", "a b", "-a", "x" * 101, "a\n"):
        assert await refusal(make(gateway, name, "x")) == invalid("name")
    assert await refusal(make(gateway, "prompt_" + "1" * 32, "x")) == invalid("name")
    assert await refusal(make(gateway, "none")) == invalid("messages")
    request = prompts_pb2.CreatePromptRequest(name="a", messages=[user("x")])
    request.messages[0].parts[0].tool_result.call_id = "nobody"
    told = await refusal(gateway.prompts.CreatePrompt(request, metadata=gateway.metadata()))
    assert told == invalid("messages[0].parts[0].tool_result.call_id")


async def test_another_tenant_has_none_of_them(gateway: RunningGateway) -> None:
    made = await make(gateway, "greet", "hello")
    foreign = await another_tenant(gateway)
    for name in ("greet", made.prompt_id):
        for method, request in {
            "GetPrompt": prompts_pb2.GetPromptRequest(prompt=name),
            "DeletePrompt": prompts_pb2.DeletePromptRequest(prompt=name),
            "RenderPrompt": prompts_pb2.RenderPromptRequest(prompt=name),
            "CreatePromptVersion": prompts_pb2.CreatePromptVersionRequest(prompt=name, messages=[user("x")]),
            "ListPromptVersions": prompts_pb2.ListPromptVersionsRequest(prompt=name),
            "SetDefaultVersion": prompts_pb2.SetDefaultVersionRequest(prompt=name, version=1),
        }.items():
            path = f"/trunkline.v1.PromptService/{method}"
            assert await refusal(send(gateway.channel, path, request, foreign)) == NOT_FOUND
        assert await refusal(ask(gateway, ref(name), metadata=foreign)) == NOT_FOUND
    assert not (await gateway.prompts.ListPrompts(prompts_pb2.ListPromptsRequest(), metadata=foreign)).prompts
    assert await render(gateway, "greet") == "hello"
