"""What a provider keeps, by the provider's own ids: only for tenants with an account of their own there."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.gateway import Metadata, RunningGateway, StartGateway, question
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.talks import another_tenant
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, content_pb2, providers_pb2, tasks_pb2

SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Cats."}]}
ANSWER = {"id": "resp_1", "object": "response", "status": "completed", "output": [SAID], "usage": {}}
CODE = content_pb2.HostedTool(
    provider="openai", type="code_interpreter", config_json=json.dumps({"container": {"file_ids": ["file-abc"]}})
)
FILE = content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(file_id="file-abc")))


@pytest.fixture
async def gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With the operator's account at OpenAI."""
    return await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})


def naming() -> list[chat_pb2.ChatInput]:
    """A file in the question, and one for a tool."""
    with_file = question("Who sleeps?", "openai/gpt-4o", tools=[content_pb2.Tool(hosted=CODE)])
    with_file.messages[0].parts.append(FILE)
    return [with_file, question("Who sleeps?", "openai/gpt-4o", tools=[content_pb2.Tool(hosted=CODE)])]


async def ask(gateway: RunningGateway, input: chat_pb2.ChatInput, metadata: Metadata) -> None:
    await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=metadata)


async def test_in_an_account_that_is_shared_nobody_names_files(gateway: RunningGateway, upstream: Upstream) -> None:
    stranger = await another_tenant(gateway)
    for field, input in zip(("input.messages[0].parts[1]", "input.tools[0].hosted.config_json"), naming(), strict=True):
        refused = Refusal("INVALID_ARGUMENT", "CAPABILITY_UNSUPPORTED", field)
        assert await refusal(ask(gateway, input, stranger)) == refused
    summary = tasks_pb2.SummarizeInput(text="words")
    given = tasks_pb2.TaskOptions(model="openai/gpt-4o", provider_options_json={"openai": '{"container": "cntr_1"}'})
    task = tasks_pb2.SummarizeRequest(summarize=summary, options=given)
    heard = await refusal(gateway.tasks.Summarize(task, metadata=stranger))
    assert heard.reason == "CAPABILITY_UNSUPPORTED"
    assert upstream.requests == []


async def test_in_ones_own_account_one_does(gateway: RunningGateway, upstream: Upstream) -> None:
    stranger = await another_tenant(gateway)
    own = providers_pb2.CreateProviderAccountRequest(provider="openai", name="main", api_key="sk-own")
    await gateway.providers.CreateProviderAccount(own, metadata=stranger)
    upstream.reply(json=ANSWER)
    await ask(gateway, naming()[0], stranger)
    (sent,) = upstream.requests
    assert sent.headers["authorization"] == "Bearer sk-own"
    assert sent.body.count(b"file-abc") == 2
