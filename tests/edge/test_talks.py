"""What people build with chat, over HTTP: prompts, assistants, conversations."""

from __future__ import annotations

from typing import Any

from tests.fixtures.http import Http

SERVICE = "/trunkline.v1."
HELLO = [{"role": "ROLE_USER", "parts": [{"text": {"text": "hello {name}"}}]}]


async def call(http: Http, method: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post(SERVICE + method, body, x_trunkline_user="ada")
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.json()
    return told


async def test_a_conversation_with_an_assistant_and_a_prompt(http: Http) -> None:
    await call(http, "PromptService/CreatePrompt", {"name": "greet", "messages": HELLO})
    persona = {"name": "pal", "model": "sandbox/echo", "instructions": "be kind"}
    await call(http, "AssistantService/CreateAssistant", {"persona": persona})
    talk = (await call(http, "ConversationService/CreateConversation", {}))["conversation"]["conversationId"]
    prompt = {"prompt": "greet", "variables": {"name": "tom"}}
    asked = {"input": {"conversationId": talk, "assistantId": "pal", "prompt": prompt}}
    completion = (await call(http, "ChatService/Complete", asked))["completion"]
    assert (completion["conversationId"], completion["prompt"]["version"]) == (talk, 1)
    kept = (await call(http, "ConversationService/ListMessages", {"conversationId": talk}))["messages"]
    assert [each["message"]["parts"][0]["text"]["text"] for each in kept] == ["hello tom", "hello tom"]


async def test_what_is_not_there(http: Http) -> None:
    answer = await http.post(SERVICE + "ConversationService/GetConversation", {"conversationId": "conv_x"})
    assert answer.status == 404
