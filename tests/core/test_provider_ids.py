"""Which ids of a provider's own work names, wherever it can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.v1 import chat_pb2, content_pb2, images_pb2
from trunkline_server.core.provider_ids import provider_id

USER, SAID = content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT
OURS = "file_01a200b058317ffcb2c24ede135084b2"


def asked(*parts: content_pb2.Part, role: Any = USER, **fields: Any) -> chat_pb2.ChatInput:
    return chat_pb2.ChatInput(messages=[content_pb2.Message(role=role, parts=parts)], **fields)


def document(**blob: Any) -> content_pb2.Part:
    return content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(**blob)))


def video(**blob: Any) -> content_pb2.Part:
    return content_pb2.Part(video=content_pb2.VideoPart(blob=content_pb2.Blob(**blob)))


def told(*parts: content_pb2.Part) -> content_pb2.Part:
    return content_pb2.Part(tool_result=content_pb2.ToolResultPart(call_id="c", parts=parts))


def opaque(provider: str = "openai", **value: Any) -> content_pb2.Part:
    return content_pb2.Part(opaque=content_pb2.OpaquePart(provider=provider, type="x", json=json.dumps(value)))


def tool(type_: str, provider: str = "openai", **config: Any) -> content_pb2.Tool:
    return content_pb2.Tool(
        hosted=content_pb2.HostedTool(provider=provider, type=type_, config_json=json.dumps(config))
    )


def options(provider: str = "openai", **fields: Any) -> chat_pb2.ChatInput:
    return chat_pb2.ChatInput(provider_options_json={provider: json.dumps(fields)})


AT_PART = "input.messages[0].parts[0]"
AT_TOOL = "input.tools[0].hosted.config_json"
AT_OPTIONS = "input.provider_options_json['openai']"


@pytest.mark.parametrize(
    ("input", "path"),
    [
        (asked(document(file_id="file-abc")), AT_PART),
        (asked(video(file_id="https://g.example/files/x"), role=SAID), AT_PART),
        (asked(told(document(file_id="file-abc"))), AT_PART),
        (asked(document(file_id=OURS)), ""),
        (asked(document(uri="https://example.com/a.pdf")), ""),
        (asked(content_pb2.Part(document=content_pb2.DocumentPart(text="file_id"))), ""),
        (images_pb2.ImageInput(images=[content_pb2.Blob(file_id="file-abc")]), "input.images[0]"),
        (asked(opaque(type="container_upload", file_id="file-abc")), AT_PART),
        (asked(opaque("anthropic", file_id="file-abc")), ""),
        (asked(opaque(results=[{"file_id": "file-abc"}], container_id="cntr"), role=SAID), ""),
        (asked(opaque(fileData={"fileUri": "x"}), role=SAID), AT_PART),
        (asked(tools=[tool("code_interpreter", container={"type": "auto", "file_ids": ["file-abc"]})]), AT_TOOL),
        (asked(tools=[tool("code_interpreter", container="cntr_abc")]), AT_TOOL),
        (asked(tools=[tool("code_interpreter", container={"type": "auto", "file_ids": []})]), ""),
        (asked(tools=[tool("code_interpreter", "azure", container="cntr_abc")]), ""),
        (asked(tools=[tool("file_search", vector_store_ids=["vs_1"])]), ""),
        (asked(tools=[tool("retrieval", vector_store_ids=["vs_1"])]), AT_TOOL),
        (options(container={"id": "cntr_abc"}), AT_OPTIONS),
        (options(fileIds=["file-abc"]), AT_OPTIONS),
        (options(deep=[{"cachedContent": "x"}]), AT_OPTIONS),
        (options("gemini", cachedContent="x"), ""),
        (options(seed=7), ""),
    ],
)
def test_what_is_named(input: chat_pb2.ChatInput, path: str) -> None:
    assert provider_id(input, "openai") == path
