"""Questions in the JSON spelling of protobuf, for the tests of dialects."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from trunkline.v1 import chat_pb2
from trunkline_server.core.ask import Ask

Json = dict[str, Any]
PNG = "iVBORw0KGgo="


def ask_of(provider: str, model: str, question: Json, **more: Any) -> Ask:
    """One word of a user where the question says nothing."""
    question = {"messages": [user(text("Hi"))], **question}
    more = {"stream": False, **more}
    return Ask(provider, model, json_format.ParseDict(question, chat_pb2.ChatInput()), **more)


def user(*parts: Json) -> Json:
    return {"role": "ROLE_USER", "parts": list(parts)}


def assistant(*parts: Json) -> Json:
    return {"role": "ROLE_ASSISTANT", "parts": list(parts)}


def tool(*parts: Json) -> Json:
    return {"role": "ROLE_TOOL", "parts": list(parts)}


def text(words: str, **more: Any) -> Json:
    return {"text": {"text": words}, **more}


def call(call_id: str, arguments: str = "{}", **more: Any) -> Json:
    return {"toolCall": {"callId": call_id, "name": "f", "argumentsJson": arguments, **more}}


def result(call_id: str, *parts: Json, **more: Any) -> Json:
    return {"toolResult": {"callId": call_id, "parts": list(parts), **more}}


def function(name: str = "f", **more: Any) -> Json:
    return {"function": {"name": name, **more}}
