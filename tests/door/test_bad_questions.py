"""Questions that are not whole: which code, which reason, which field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, question, user
from tests.fixtures.refusal import Refusal, invalid, refusal
from trunkline.v1 import chat_pb2, content_pb2

UNKNOWN: Final = Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
MISSPELT: Final = invalid("input.model")
ARGUMENTS: Final = "input.messages[1].parts[0].tool_call.arguments_json"
SCHEMA: Final = "input.output_format.json_schema.json_schema"
OPTIONS: Final = "input.provider_options_json['sandbox']"
BLOB: Final = "input.messages[0].parts[0].image.blob"
PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def sampled(**values: Any) -> chat_pb2.ChatInput:
    return question("hi", sampling=chat_pb2.Sampling(**values))


def said(role: int, text: str = "hi") -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=user(text).parts)  # type: ignore[arg-type]


def called(arguments_json: str) -> chat_pb2.ChatInput:
    call = content_pb2.ToolCallPart(call_id="one", name="look", arguments_json=arguments_json)
    asked = question("hi")
    asked.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.CopyFrom(call)
    return asked


def shaped(schema: str) -> chat_pb2.ChatInput:
    asked = question("hi", "sandbox/json")
    asked.output_format.json_schema.json_schema = schema
    return asked


def optioned(options_json: str, provider: str = "sandbox") -> chat_pb2.ChatInput:
    return question("hi", provider_options_json={provider: options_json})


def pictured(data: bytes, media_type: str = "") -> chat_pb2.ChatInput:
    blob = content_pb2.Blob(data=data, media_type=media_type)
    return question_of(content_pb2.Part(image=content_pb2.ImagePart(blob=blob)))


def linked(uri: str) -> chat_pb2.ChatInput:
    blob = content_pb2.Blob(uri=uri)
    return question_of(content_pb2.Part(image=content_pb2.ImagePart(blob=blob)))


def question_of(part: content_pb2.Part) -> chat_pb2.ChatInput:
    asked = question("", "sandbox/count")
    asked.messages[0].CopyFrom(content_pb2.Message(role=content_pb2.ROLE_USER, parts=[part]))
    return asked


MESSAGES: Final = {
    "none": (chat_pb2.ChatInput(model="sandbox/echo"), invalid("input.messages")),
    "only instructions": (
        chat_pb2.ChatInput(model="sandbox/echo", messages=[said(content_pb2.ROLE_SYSTEM)]),
        invalid("input.messages"),
    ),
    "role 0": (chat_pb2.ChatInput(model="sandbox/echo", messages=[said(0)]), invalid("input.messages[0].role")),
    "role 99": (
        chat_pb2.ChatInput(model="sandbox/echo", messages=[user("hi"), said(99)]),
        invalid("input.messages[1].role"),
    ),
    "10,001": (
        chat_pb2.ChatInput(model="sandbox/echo", messages=[user("hi")] * 10_001),
        invalid("input.messages"),
    ),
    "without parts": (
        chat_pb2.ChatInput(model="sandbox/echo", messages=[content_pb2.Message(role=content_pb2.ROLE_USER)]),
        invalid("input.messages[0].parts"),
    ),
    "no question at all": (None, invalid("input")),
}
SAMPLING: Final = {
    f"{name} {value}": (sampled(**{name: value}), invalid(f"input.sampling.{name}"))
    for name, values in {
        "temperature": (float("nan"), float("inf"), float("-inf"), -1.0, 1e308),
        "top_p": (float("nan"), -0.1, 1.1),
        "frequency_penalty": (float("nan"), 3.0),
        "max_output_tokens": (0, -5, 2**31 - 1),
        "candidate_count": (0, 17, 2**31 - 1),
        "top_logprobs": (-1, 21),
        "top_k": (0, 2**31 - 1),
    }.items()
    for value in values
}
MODELS: Final = {
    "": MISSPELT,
    "../../etc": MISSPELT,
    "x" * 300: MISSPELT,
    "sandbox/echo ": MISSPELT,
    "sandbox/echo\n": MISSPELT,
    " sandbox/echo": MISSPELT,
    "sandbox/\u0435cho": MISSPELT,
    "sandbox/echo\0": MISSPELT,
    "' OR '1'='1": MISSPELT,
    "Sandbox/Echo": UNKNOWN,
    "sandbox/ECHO": UNKNOWN,
    "sandbox/": UNKNOWN,
    "sandbox/../echo": UNKNOWN,
    "sandbox/nothing": UNKNOWN,
    "openai/gpt-4o": Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED"),
    "gpt-4o": Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED"),
    "nobody/has-this": UNKNOWN,
    "no-such-model": UNKNOWN,
}
JSON_TEXTS: Final = {
    "100,000 brackets": "[" * 100_000,
    "100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "65 levels": '{"a":' * 65 + "1" + "}" * 65,
    "a number of 10 million digits": '{"a": ' + "9" * 5_000_000 + "}",
    "the same key twice": '{"a": 1, "a": 2}',
    "NaN": '{"a": NaN}',
    "infinite": '{"a": 1e999}',
    "lone surrogate": '{"a": "\\ud800"}',
    "no object": "[1]",
    "no JSON": "{'a': 1}",
    "two values": "{} {}",
}
SCHEMAS: Final = {
    "remote": '{"$ref": "http://127.0.0.1:9/schema.json"}',
    "file": '{"$ref": "file:///etc/passwd"}',
    "remote id": '{"$id": "http://127.0.0.1:9/", "$ref": "other.json"}',
    "remote meta": '{"$schema": "http://127.0.0.1:9/meta"}',
    "no JSON": "{",
    "no schema": '{"type": "no such type"}',
    "no object": "[]",
    "deep": '{"not":' * 1000 + "{}" + "}" * 1000,
}
OPTIONS_DENIED: Final = ("base_url", "api_key", "headers", "extra_headers", "Api-Key", "url", "model", "stream", "n")
ADDRESSES: Final = (
    "http://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://0/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:7f00:1]/",
    "https://[fe80::1]/",
    "https://127\u30020\u30020\u30021/",
    "https://user@127.0.0.1/",
    "https://example.com:6379/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    "https://localhost/",
    "https://10.0.0.1/",
    "https://192.168.1.1/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "data:image/png;base64,AAAA",
    "//example.com/",
    "https://",
    "https://exa mple.com/",
    "https://example.com/\r\nhost: x",
)
PICTURES: Final = {
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', "image/svg+xml"),
    "SVG that says PNG": (b"<svg/>", "image/png"),
    "PNG that says JPEG": (PNG + b"\0\0\0\1\0\0\0\1\x08\2\0\0\0....IEND....", "image/jpeg"),
    "50,000 x 50,000": (PNG + (50_000).to_bytes(4) * 2 + b"\x08\2\0\0\0....IEND....", "image/png"),
    "0 x 0": (PNG + bytes(8) + b"\x08\2\0\0\0....IEND....", "image/png"),
    "cut PNG": (PNG[:12], "image/png"),
    "cut JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
    "HTML": (b"<html>", ""),
    "PNG and page": (PNG + b"\0\0\0\1\0\0\0\1\x08\2\0\0\0<script>IEND....", "image/png"),
}


async def refused(gateway: RunningGateway, input: chat_pb2.ChatInput | None) -> Refusal:
    """How Complete refuses it; Stream and Quote must say the same."""
    metadata = gateway.metadata("ada")
    told = await refusal(gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=metadata))
    stream = gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=metadata)
    assert await refusal(stream.read()) == told
    assert await refusal(gateway.chat.Quote(chat_pb2.QuoteRequest(input=input), metadata=metadata)) == told
    return told


Cases = Mapping[str, tuple[chat_pb2.ChatInput | None, Refusal]]


@pytest.mark.parametrize(
    "cases",
    [
        MESSAGES,
        SAMPLING,
        {name: (question("hi", name), told) for name, told in MODELS.items()},
        {name: (called(text), invalid(ARGUMENTS)) for name, text in JSON_TEXTS.items()},
        {name: (shaped(text), invalid(SCHEMA)) for name, text in SCHEMAS.items()},
        {name: (optioned(f'{{"{name}": "x"}}'), invalid(f"{OPTIONS}.{name}")) for name in OPTIONS_DENIED},
        {name: (optioned(text), invalid(OPTIONS)) for name, text in JSON_TEXTS.items()},
        {"no provider": (optioned("{}", "../x"), invalid("input.provider_options_json"))},
        {uri: (linked(uri), invalid(f"{BLOB}.uri", "URL_NOT_ALLOWED")) for uri in ADDRESSES},
        {name: (pictured(*each), invalid(f"{BLOB}.data", "MEDIA_INVALID")) for name, each in PICTURES.items()},
    ],
    ids=lambda cases: next(iter(cases)),
)
async def test_refused_with_reason_and_field(books: Books, gateway: RunningGateway, cases: Cases) -> None:
    told = {name: await refused(gateway, input) for name, (input, _) in cases.items()}
    assert told == {name: expected for name, (_, expected) in cases.items()}
    assert await books.holds() == await books.usage() == []


@pytest.mark.parametrize(
    "schema",
    [
        '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}',
        '{"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "required": ["a"]}',
    ],
    ids=["loop", "pattern that backtracks"],
)
async def test_schemas_that_could_hang(gateway: RunningGateway, schema: str) -> None:
    """Whatever the answer is worth by such a schema, it is judged at once."""
    asked = shaped(schema)
    asked.provider_options_json["sandbox"] = '{"script": {"json": {"a": "' + "a" * 40 + '!"}}}'
    told = await refusal(gateway.chat.Complete(chat_pb2.CompleteRequest(input=asked), metadata=gateway.metadata()))
    assert told in (invalid(SCHEMA), ("INTERNAL", "OUTPUT_INVALID", ""), ("OK", "", ""))


async def test_one_bad_question_among_many_is_its_own_error(gateway: RunningGateway) -> None:
    asked = chat_pb2.CompleteManyRequest(inputs=[question("good"), called("[["), question("hi", "no-such-model")])
    answer = await gateway.chat.CompleteMany(asked, metadata=gateway.metadata("ada"))
    assert [result.WhichOneof("result") for result in answer.results] == ["completion", "error", "error"]
