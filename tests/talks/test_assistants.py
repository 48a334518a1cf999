"""Assistants, over a socket: made, changed, and used in calls."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.fixtures.desk import Desk
from tests.fixtures.gateway import Metadata, RunningGateway, text_of, user
from tests.fixtures.refusal import Refusal, invalid, refusal, send
from tests.fixtures.streams import OPENAI, desk
from tests.fixtures.talks import Speaker, another_tenant, settings
from tests.services.test_files import upload
from trunkline.v1 import assistants_pb2, chat_pb2, content_pb2, files_pb2, prompts_pb2

__all__ = ["desk"]

NOT_FOUND: Final = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
EXISTS: Final = Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")


def persona(name: str = "pal", **fields: Any) -> assistants_pb2.Persona:
    return assistants_pb2.Persona(**({"name": name, "model": "sandbox/echo"} | fields))


async def make(gateway: RunningGateway, who: assistants_pb2.Persona, request_id: str = "") -> assistants_pb2.Assistant:
    request = assistants_pb2.CreateAssistantRequest(persona=who, request_id=request_id)
    return (await gateway.assistants.CreateAssistant(request, metadata=gateway.metadata())).assistant


async def update(gateway: RunningGateway, name: str, who: assistants_pb2.Persona) -> assistants_pb2.Assistant:
    request = assistants_pb2.UpdateAssistantRequest(assistant=name, persona=who)
    return (await gateway.assistants.UpdateAssistant(request, metadata=gateway.metadata())).assistant


async def get(gateway: RunningGateway, name: str) -> assistants_pb2.Assistant:
    request = assistants_pb2.GetAssistantRequest(assistant=name)
    return (await gateway.assistants.GetAssistant(request, metadata=gateway.metadata())).assistant


async def ask(gateway: RunningGateway, name: str, metadata: Metadata = (), **fields: Any) -> chat_pb2.Completion:
    input = chat_pb2.ChatInput(assistant_id=name, messages=[user("hi")], **fields)
    request = chat_pb2.CompleteRequest(input=input)
    return (await gateway.chat.Complete(request, metadata=metadata or gateway.metadata())).completion


def rich() -> assistants_pb2.Persona:
    return persona(
        model=OPENAI.name,
        description="for tests",
        instructions="be kind",
        sampling=chat_pb2.Sampling(temperature=0.5, max_output_tokens=50, stop_sequences=["."]),
        tools=[content_pb2.Tool(function=content_pb2.FunctionTool(name="look"))],
        tool_choice=content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_REQUIRED),
    )


async def test_an_assistant_is_told_as_it_was_made(gateway: RunningGateway) -> None:
    made = await make(gateway, rich(), "r")
    assert await make(gateway, rich(), "r") == made
    assert made.persona == rich()
    assert made.assistant_id.startswith("asst_")
    assert await get(gateway, "pal") == await get(gateway, made.assistant_id) == made


async def test_an_assistant_is_changed_as_a_whole(gateway: RunningGateway) -> None:
    made = await make(gateway, rich())
    changed = await update(gateway, "pal", persona("friend"))
    assert (changed.assistant_id, changed.persona) == (made.assistant_id, persona("friend"))
    assert changed.create_time == made.create_time
    assert await refusal(get(gateway, "pal")) == NOT_FOUND
    await make(gateway, persona("pal"))
    assert await refusal(update(gateway, "friend", persona("pal"))) == EXISTS
    assert await refusal(make(gateway, persona("pal"))) == EXISTS


async def test_assistants_are_listed_by_name_until_they_are_forgotten(gateway: RunningGateway) -> None:
    for name in ("c", "a", "B"):
        await make(gateway, persona(name))
    request = assistants_pb2.ListAssistantsRequest(page_size=2)
    first = await gateway.assistants.ListAssistants(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.assistants.ListAssistants(request, metadata=gateway.metadata())
    assert [each.persona.name for each in (*first.assistants, *second.assistants)] == ["B", "a", "c"]
    request.page_token = "x" + first.next_page_token[1:]
    told = await refusal(gateway.assistants.ListAssistants(request, metadata=gateway.metadata()))
    assert told == invalid("page_token", "PAGE_TOKEN_INVALID")
    forget = assistants_pb2.DeleteAssistantRequest(assistant="a")
    await gateway.assistants.DeleteAssistant(forget, metadata=gateway.metadata())
    assert await refusal(gateway.assistants.DeleteAssistant(forget, metadata=gateway.metadata())) == NOT_FOUND
    assert await refusal(ask(gateway, "a")) == NOT_FOUND


async def test_a_call_gets_what_it_leaves_open(desk: Desk) -> None:
    made = await make(desk.gateway, rich())
    desk.upstream.reply(json=OPENAI.whole("ok", 1))
    await ask(desk.gateway, made.assistant_id)
    told = desk.upstream.requests[-1].json()
    assert [each["role"] for each in told["messages"]] == ["system", "user"]
    assert told["messages"][0]["content"] == "be kind"
    assert (told["temperature"], told["stop"], told["tool_choice"]) == (0.5, ["."], "required")
    assert [each["function"]["name"] for each in told["tools"]] == ["look"]


async def test_what_the_call_says_wins(desk: Desk) -> None:
    await make(desk.gateway, rich())
    desk.upstream.reply(json=OPENAI.whole("ok", 1))
    sampling = chat_pb2.Sampling(temperature=1, stop_sequences=["!"])
    tools = [content_pb2.Tool(function=content_pb2.FunctionTool(name="hear"))]
    await ask(desk.gateway, "pal", sampling=sampling, tools=tools)
    told = desk.upstream.requests[-1].json()
    assert (told["temperature"], told["stop"]) == (1, ["!"])
    assert "50" in str(told.get("max_completion_tokens", told.get("max_tokens")))
    assert [each["function"]["name"] for each in told["tools"]] == ["hear"]
    assert "tool_choice" not in told
    other = await ask(desk.gateway, "pal", model="sandbox/echo", tools=tools)
    assert (other.model, text_of(other)) == ("echo", "hi")


async def test_assistant_conversation_and_prompt_together(desk: Desk) -> None:
    await make(desk.gateway, rich())
    eve = Speaker(desk.gateway, "eve")
    talk = await eve.begin(system_prompt="this is about cats", settings=settings(temperature=0.1))
    request = prompts_pb2.CreatePromptRequest(name="greet", messages=[user("hello {name}")])
    await desk.gateway.prompts.CreatePrompt(request, metadata=eve.metadata)
    prompt = chat_pb2.PromptRef(prompt="greet", variables={"name": "tom"})
    for answer in ("one", "two"):
        desk.upstream.reply(json=OPENAI.whole(answer, 1))
        input = chat_pb2.ChatInput(conversation_id=talk, assistant_id="pal", prompt=prompt)
        done = await desk.gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=eve.metadata)
        assert (done.completion.prompt.name, done.completion.conversation_id) == ("greet", talk)
    told = desk.upstream.requests[-1].json()
    assert told["model"] == OPENAI.model
    assert told["temperature"] == 0.5
    assert await eve.said(talk) == ["hello tom", "one", "hello tom", "two"]
    instructions = [each["content"] for each in told["messages"] if each["role"] == "system"]
    assert sorted(instructions) == ["be kind", "this is about cats"]


async def test_what_a_call_would_be_refused_for_is_refused_at_once(gateway: RunningGateway) -> None:
    look = content_pb2.Tool(function=content_pb2.FunctionTool(name="look"))
    bad = content_pb2.Tool(function=content_pb2.FunctionTool(name="look", parameters_json_schema="{"))
    for field, wrong in {
        "persona.name": persona("a b"),
        "persona.tools[1].function.name": persona(tools=[look, look]),
        "persona.tools[0].function.parameters_json_schema": persona(tools=[bad]),
        "persona.tool_choice": persona(tool_choice=content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_AUTO)),
        "persona.instructions": persona(instructions="a\0b"),
        "persona.description": persona(description="a\nb"),
        "persona.sampling.temperature": persona(sampling=chat_pb2.Sampling(temperature=9)),
    }.items():
        assert await refusal(make(gateway, wrong)) == invalid(field)
    assert await refusal(make(gateway, persona("asst_" + "1" * 32))) == invalid("persona.name")
    assert await refusal(make(gateway, persona("x" * 65))) == invalid("persona.name")


async def test_a_model_must_come_from_somewhere(gateway: RunningGateway) -> None:
    await make(gateway, persona(model=""))
    assert await refusal(ask(gateway, "pal")) == invalid("input.model")
    assert text_of(await ask(gateway, "pal", model="sandbox/echo")) == "hi"


async def test_another_tenant_has_none_of_them(gateway: RunningGateway) -> None:
    made = await make(gateway, persona())
    foreign = await another_tenant(gateway)
    for name in ("pal", made.assistant_id):
        for method, request in {
            "GetAssistant": assistants_pb2.GetAssistantRequest(assistant=name),
            "UpdateAssistant": assistants_pb2.UpdateAssistantRequest(assistant=name, persona=persona("mine")),
            "DeleteAssistant": assistants_pb2.DeleteAssistantRequest(assistant=name),
        }.items():
            path = f"/trunkline.v1.AssistantService/{method}"
            assert await refusal(send(gateway.channel, path, request, foreign)) == NOT_FOUND
        assert await refusal(ask(gateway, name, foreign)) == NOT_FOUND
    assert await get(gateway, "pal") == made


async def test_its_files_go_with_every_call_before_the_calls_own(desk: Desk) -> None:
    gateway = desk.gateway
    deed, note = [await upload(gateway, text, filename=text.decode()) for text in (b"deed", b"note")]
    await make(gateway, persona(model=OPENAI.name, file_ids=[deed.file_id]))
    eve = Speaker(gateway, "eve")
    talk = await eve.begin()
    for asked in (chat_pb2.ChatInput(), chat_pb2.ChatInput(file_ids=[note.file_id, deed.file_id])):
        desk.upstream.reply(json=OPENAI.whole("ok", 1))
        await ask(gateway, "pal", eve.metadata, conversation_id=talk, file_ids=asked.file_ids)
    first, second = [request.json()["messages"] for request in desk.upstream.requests[-2:]]
    assert files_in(first[-1]) == ["deed"]
    assert files_in(second[-1]) == ["deed", "note"]
    assert not isinstance(second[0]["content"], list)  # what was kept of the first call has no files
    assert await eve.said(talk) == ["hi", "ok", "hi", "ok"]


async def test_its_files_must_be_there(gateway: RunningGateway) -> None:
    deed = await upload(gateway, b"deed")
    await make(gateway, persona(file_ids=[deed.file_id]))
    assert await refusal(make(gateway, persona("other", file_ids=["file_" + "0" * 32]))) == NOT_FOUND
    assert await refusal(update(gateway, "pal", persona(file_ids=["deed"]))) == NOT_FOUND
    assert await refusal(make(gateway, persona("other", file_ids=["\n"]))) == invalid("persona.file_ids")
    foreign = await another_tenant(gateway)
    request = assistants_pb2.CreateAssistantRequest(persona=persona("mine", file_ids=[deed.file_id]))
    assert await refusal(gateway.assistants.CreateAssistant(request, metadata=foreign)) == NOT_FOUND
    forget = files_pb2.DeleteFileRequest(file_id=deed.file_id)
    await gateway.files.DeleteFile(forget, metadata=gateway.metadata())
    assert await refusal(ask(gateway, "pal")) == NOT_FOUND


def files_in(message: dict[str, Any]) -> list[str]:
    return [part["file"]["filename"] for part in message["content"] if part["type"] == "file"]


@pytest.mark.parametrize("model", ["sandbox/echo", "sandbox/count"])
async def test_a_stream_has_its_assistant_too(gateway: RunningGateway, model: str) -> None:
    await make(gateway, persona(model=model))
    input = chat_pb2.ChatInput(assistant_id="pal", messages=[user("1")])
    call = gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=gateway.metadata())
    said = [response.event async for response in call]
    assert said[0].started.model == model.partition("/")[2]
    assert "".join(event.part_delta.text for event in said) == "1"
