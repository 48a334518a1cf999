"""Secrets and prompts are planted wherever a caller or a provider can, and looked for wherever they could come out."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import grpc
import pytest
from google.protobuf.message import Message

from tests.fixtures.gateway import question
from tests.fixtures.served import Client, Serve, Served
from tests.fixtures.upstream import Answer, Received, Upstream
from trunkline.v1 import admin_pb2, chat_pb2, content_pb2, credits_pb2, providers_pb2, providers_pb2_grpc
from trunkline_server.core import api_key
from trunkline_server.store.database import Database

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CANARY: Final = "canary7c1d"
"""Stands in every secret; each has a word of its own after it."""
TEXT_COLUMNS: Final = """
    SELECT format('SELECT %L, string_agg(t::text, E''\\n'') FROM %I t', table_name, table_name) AS query
    FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""


def planted(word: str) -> str:
    return f"{CANARY}-{word}"


def said(role: content_pb2.Role.ValueType, text: str) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=[content_pb2.Part(text=content_pb2.TextPart(text=text))])


def prompt(model: str) -> chat_pb2.ChatInput:
    """A question with a canary in each of its texts."""
    asked = question(planted("question"), model)
    asked.messages.insert(0, said(content_pb2.ROLE_SYSTEM, planted("system")))
    asked.messages[1].parts.add().document.MergeFrom(
        content_pb2.DocumentPart(text=planted("document"), title=planted("title"), context=planted("context"))
    )
    asked.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.MergeFrom(
        content_pb2.ToolCallPart(call_id="one", name="look", arguments_json=f'{{"at": "{planted("arguments")}"}}')
    )
    asked.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.MergeFrom(
        content_pb2.ToolResultPart(
            call_id="one", parts=[content_pb2.Part(text=content_pb2.TextPart(text=planted("result")))]
        )
    )
    asked.tools.add().function.MergeFrom(content_pb2.FunctionTool(name="look", description=planted("tool")))
    asked.sampling.stop_sequences.append(planted("stop"))
    return asked


def broken(asked: chat_pb2.ChatInput) -> list[chat_pb2.ChatInput]:
    """The question again and again, each time refused at the door for something with a canary in it."""
    again = []
    for _ in range(7):
        again.append(chat_pb2.ChatInput())
        again[-1].CopyFrom(asked)
    again[0].messages[2].parts[0].tool_call.arguments_json = f'{{"{planted("key")}": }}'
    again[1].output_format.json_schema.json_schema = f'{{"type": "{planted("type")}"}}'
    again[2].provider_options_json["openai"] = f'{{"api_key": "{planted("own-key")}"}}'
    address = f"http://127.0.0.1/{planted('path')}?key={planted('query')}"
    again[3].messages[1].parts.add().image.blob.uri = address
    again[4].messages[1].parts.add().image.blob.data = planted("picture").encode()
    again[5].sampling.stop_sequences.extend([planted("stop")] * 20)
    again[6].messages.add().CopyFrom(content_pb2.Message(parts=asked.messages[0].parts))
    return again


def evil_answers(upstream: Upstream) -> list[Answer]:
    """What a provider says when it wants to be heard in our logs."""
    text, headers = (
        planted("provider-text"),
        {"x-request-id": planted("provider-header"), "set-cookie": planted("cookie")},
    )
    body = {"error": {"message": text, "type": text, "code": f"{text} with spaces", "param": text}}
    answers = [
        upstream.whole(json=body, status=status, headers=headers)
        for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)
    ]
    answers += [
        upstream.whole(each.encode(), headers=headers) for each in (f"<html>{text}", f'{{"{text}": ', f'"{text}"')
    ]
    answers.append(upstream.whole(json={"choices": [{"message": {"content": [text], "role": 7}}]}))
    answers.append(upstream.whole(status=302, headers={"location": f"http://169.254.169.254/{text}"}))
    answers.append(upstream.whole(f'data: {{"error": {{"message": "{text}"}}}}\n\n'.encode(), headers=event_stream()))
    return answers


def event_stream() -> dict[str, str]:
    return {"content-type": "text/event-stream"}


class Ears:
    """Everything that callers hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def hear(self, call: Any) -> None:
        """An answer is the caller's own; its trailers and errors are not."""
        try:
            await (call.read() if isinstance(call, grpc.aio.UnaryStreamCall) else call)
            self.heard.append(repr(await call.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            self.heard.append(f"{error.details()} {error.trailing_metadata()!r} {error.debug_error_string()}")


@pytest.fixture
async def provider() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_nothing_planted_comes_out(serve: Serve, provider: Upstream, level: str) -> None:
    served = await serve(
        TRUNKLINE_LOG_LEVEL=level,
        TRUNKLINE_AUTH__PEPPER=planted("pepper"),
        OPENAI_API_KEY=planted("provider-key"),
        OPENAI_BASE_URL=provider.url,
        TRUNKLINE_PROVIDERS__OPENAI__HEADERS=f'{{"x-secret": "{planted("provider-secret")}"}}',
    )
    await served.until_serving()
    ears = Ears()
    async with served.client("ada") as client:
        secret = await make_key(client)
        await keep_own_key(client)
        await ask_all(client, ears, provider)
        await ask_with_odd_keys(client, ears, secret)
        ears.heard += [str(each) for each in await what_operators_see(client)]
    assert provider.requests, "the canaries did reach the provider"
    assert any(CANARY.encode() in request.body for request in provider.requests)
    async with served.database() as database:
        tables = await dump(database)
    served.send(signal.SIGTERM)
    assert await served.gone() == 0
    assert "adalovelace" in tables, "the dump shows what is there"
    assert "call.ended" in served.log
    assert "PROVIDER_REJECTED" in "".join(ears.heard)
    assert_silent(served, secret, tables, "\n".join(ears.heard))


async def make_key(client: Client) -> str:
    asked = admin_pb2.CreateApiKeyRequest(name="adalovelace", scopes=["chat:write"])
    return (await client.admin.CreateApiKey(asked, metadata=client.metadata)).secret


async def keep_own_key(client: Client) -> None:
    """Nobody calls that provider: this is about what lies in the database and its files."""
    stub: providers_pb2_grpc.ProviderServiceAsyncStub = providers_pb2_grpc.ProviderServiceStub(client.channel)
    made = providers_pb2.CreateProviderAccountRequest(provider="gemini", name="main", api_key=planted("own-account"))
    account_id = (await stub.CreateProviderAccount(made, metadata=client.metadata)).account.account_id
    request = providers_pb2.RotateProviderAccountRequest(account_id=account_id, api_key=planted("own-again"))
    await stub.RotateProviderAccount(request, metadata=client.metadata)


async def ask_all(client: Client, ears: Ears, provider: Upstream) -> None:
    metadata = (*client.metadata, ("x-planted", planted("header")))
    for model in ("sandbox/count", "sandbox/broken", "sandbox/down", "sandbox/refuse"):
        await ears.hear(client.chat.Complete(chat_pb2.CompleteRequest(input=prompt(model)), metadata=metadata))
    model = "openai/gpt-4o-mini"
    for bad in broken(prompt(model)):
        await ears.hear(client.chat.Complete(chat_pb2.CompleteRequest(input=bad), metadata=metadata))
    for answer in evil_answers(provider):
        provider.respond(partial(again, answer))
        asked = prompt(model)
        asked.routing.max_attempts = 1
        await ears.hear(client.chat.Complete(chat_pb2.CompleteRequest(input=asked), metadata=metadata))
        await ears.hear(client.chat.Stream(chat_pb2.StreamRequest(input=asked), metadata=metadata))


def again(answer: Answer, request: Received) -> Answer:
    """The same answer for every request."""
    return Answer(answer.steps)


async def ask_with_odd_keys(client: Client, ears: Ears, secret: str) -> None:
    """Keys that are wrong, and one that is right and may not."""
    keys = (f"Bearer {planted('key')}", f"Basic {planted('password')}", f"Bearer {secret}", f"Bearer {secret}x")
    for key in keys:
        metadata = (("authorization", key),)
        await ears.hear(client.credits.GetBalance(credits_pb2.GetBalanceRequest(), metadata=metadata))
    twice = tuple(("authorization", key) for key in keys)
    await ears.hear(client.credits.GetBalance(credits_pb2.GetBalanceRequest(), metadata=twice))


async def what_operators_see(client: Client) -> list[Message]:
    return [
        await client.admin.ListApiKeys(admin_pb2.ListApiKeysRequest(), metadata=client.metadata),
        await client.admin.GetInfo(admin_pb2.GetInfoRequest(), metadata=client.metadata),
        await client.credits.ListLedgerEntries(credits_pb2.ListLedgerEntriesRequest(), metadata=client.metadata),
    ]


async def dump(database: Database) -> str:
    """Every row of every table as text."""
    queries = [row["query"] for row in await database.fetch(TEXT_COLUMNS)]
    return "\n".join([str(tuple(row)) for query in queries for row in await database.fetch(query)])


def assert_silent(served: Served, secret: str, tables: str, heard: str) -> None:
    parsed = api_key.parse(secret)
    assert parsed is not None
    log = served.log.replace(served.key, "", 1)  # shown once, by design
    admin = api_key.parse(served.key)
    assert admin is not None
    words = (CANARY, CANARY.encode().hex(), parsed.secret, admin.secret)
    for name, text in {"log": log, "tables": tables, "heard": heard}.items():
        found = [line[:300] for line in text.splitlines() if any(word in line for word in words)]
        assert found == [], name
    secrets = [word.encode() for word in (CANARY, parsed.secret, admin.secret)]
    for file in served.data_dir.rglob("*"):
        if file.is_file() and file.name != "admin.key":
            data = file.read_bytes()
            assert not any(word in data for word in secrets), file
