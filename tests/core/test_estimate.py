"""The guess at input tokens: high enough for money, not absurdly high, and in proportion to the size."""

from __future__ import annotations

import base64
import json
import random
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.recorded import Exchange, exchanges
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.estimate import IMAGE_TOKENS, UNSEEN_TOKENS, input_tokens, text_tokens

PREAMBLE_TOKENS = 150
"""What some providers say to their models before the question, in secret; only short questions feel it."""
ENGLISH = """The quick brown fox jumps over the lazy dog while the committee discusses whether the proposal that was
submitted last week should be accepted without further amendments. Nobody objected, and so it was adopted. """


def words(count: int) -> str:
    return " ".join(random.Random(count).choice(ENGLISH.split()) for _ in range(count))


def asked(*parts: content_pb2.Part, **more: Any) -> chat_pb2.ChatInput:
    message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=parts)
    return chat_pb2.ChatInput(model="m", messages=[message], **more)


def said(text: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=text))


def test_english_is_guessed_within_a_factor_of_two() -> None:
    # English has about 1.3 tokens a word, in every vocabulary in use
    assert 1.3 * 1000 <= text_tokens(words(1000)) <= 2 * 1.3 * 1000


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # at least so many tokens: the most that common vocabularies make of such text
        (base64.b64encode(random.Random(1).randbytes(3000)).decode(), 4000 * 0.7),
        ("".join(str(random.Random(2).randrange(10)) for _ in range(900)), 900 / 3),
        ("今天天气很好我们去公园散步吧" * 100, 1400 * 1.3),
        ("Свободная энциклопедия которую может редактировать каждый " * 50, 250 * 3),
        ("Donaudampfschifffahrtsgesellschaft und Rechtsschutzversicherungen " * 50, 50 * 17),
        ("def total(self, rows: list[Row]) -> int:\n    return sum(row.amount for row in rows)\n" * 50, 50 * 24),
        ("🎉🚀" * 100, 200 * 2),
    ],
    ids=["base64", "digits", "chinese", "russian", "german", "code", "emoji"],
)
def test_is_not_too_low(text: str, tokens: float) -> None:
    assert text_tokens(text) >= tokens


def test_counts_everything_that_the_model_reads() -> None:
    schema = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}})
    function = content_pb2.FunctionTool(name="weather", description=words(50), parameters_json_schema=schema)
    result = content_pb2.ToolResultPart(call_id="c", parts=[said(words(50))], structured_json=schema)
    more = [
        asked(said("Hi"), said(words(50))),
        asked(said("Hi"), content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(data=b"x")))),
        asked(said("Hi"), content_pb2.Part(document=content_pb2.DocumentPart(text=words(50), title="Deed"))),
        asked(said("Hi"), content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(file_id="f")))),
        asked(said("Hi"), content_pb2.Part(audio=content_pb2.AudioPart(blob=content_pb2.Blob(data=b"x" * 100_000)))),
        asked(said("Hi"), content_pb2.Part(video=content_pb2.VideoPart(blob=content_pb2.Blob(data=b"x" * 100_000)))),
        asked(said("Hi"), content_pb2.Part(tool_result=result)),
        asked(said("Hi"), content_pb2.Part(tool_call=content_pb2.ToolCallPart(name="f", arguments_json=schema))),
        asked(said("Hi"), content_pb2.Part(reasoning=content_pb2.ReasoningPart(text=words(9), summaries=[words(9)]))),
        asked(said("Hi"), content_pb2.Part(refusal=content_pb2.RefusalPart(text=words(9)))),
        asked(said("Hi"), content_pb2.Part(opaque=content_pb2.OpaquePart(json=schema))),
        asked(said("Hi"), tools=[content_pb2.Tool(function=function)]),
        asked(said("Hi"), tools=[content_pb2.Tool(hosted=content_pb2.HostedTool(type="web_search"))]),
        asked(
            said("Hi"),
            output_format=content_pb2.OutputFormat(json_schema=content_pb2.JsonSchemaFormat(json_schema=schema)),
        ),
    ]
    least = input_tokens(asked(said("Hi")))
    assert 0 < least < 30
    assert all(input_tokens(question) >= least + 6 for question in more)


def test_a_picture_costs_the_same_whatever_its_bytes() -> None:
    for blob in (content_pb2.Blob(data=b"x" * 5_000_000), content_pb2.Blob(uri="https://example.com/a.png")):
        image = content_pb2.Part(image=content_pb2.ImagePart(blob=blob))
        assert input_tokens(asked(image)) < IMAGE_TOKENS + 50


def test_what_is_elsewhere_is_not_free() -> None:
    film = content_pb2.Part(video=content_pb2.VideoPart(blob=content_pb2.Blob(uri="https://example.com/a.mp4")))
    assert input_tokens(asked(film)) >= UNSEEN_TOKENS


def test_takes_time_by_size_alone() -> None:
    question = asked(*[said("x" * 20_000) for _ in range(1000)])
    began = time.process_time()
    assert input_tokens(question) > 1_000_000
    assert time.process_time() - began < 2


# Against what providers counted.


def _parts(content: Any) -> Iterator[content_pb2.Part]:
    """The parts of a message as two dialects spell them."""
    for block in [content] if isinstance(content, str | dict) else content or ():
        match block:
            case str():
                yield said(block)
            case {"type": "text", "text": str(text)}:
                yield said(text)
            case {"type": "image" | "image_url"}:
                yield content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(file_id="f")))
            case {"type": "document" | "file"}:
                yield content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(file_id="f")))
            case _:
                yield content_pb2.Part(opaque=content_pb2.OpaquePart(json=json.dumps(block)))


def _message(message: dict[str, Any]) -> content_pb2.Message:
    parts = [*_parts(message.get("content")), *_parts(message.get("tool_calls"))]
    return content_pb2.Message(role=content_pb2.ROLE_USER, parts=parts)


def _question(body: dict[str, Any]) -> chat_pb2.ChatInput:
    messages = [_message(message) for message in body["messages"]]
    if body.get("system"):
        messages.insert(0, content_pb2.Message(parts=_parts(body["system"])))
    tools = [
        content_pb2.Tool(function=content_pb2.FunctionTool(parameters_json_schema=json.dumps(tool)))
        for tool in (body.get("tools") or []) + (body.get("functions") or [])
    ]
    question = chat_pb2.ChatInput(messages=messages, tools=tools)
    if body.get("response_format"):
        question.output_format.json_schema.json_schema = json.dumps(body["response_format"])
    return question


def _counted(body: bytes) -> int:
    """Input tokens as the provider reported them; 0 where it did not."""

    def most(name: str) -> int:
        return max((int(number) for number in re.findall(rf'"{name}"\s*:\s*(\d+)', body.decode())), default=0)

    own = most("input_tokens") + most("cache_creation_input_tokens") + most("cache_read_input_tokens")
    return most("prompt_tokens") or own


def _is_plain(exchange: Exchange) -> bool:
    """A question whose every token is in the request: nothing that the provider's own tools or stores add."""
    if not exchange.good or not exchange.request.startswith(b"{") or not _counted(exchange.body):
        return False
    body = exchange.question()
    kinds = {tool.get("type", "custom") for tool in body.get("tools") or ()}
    # a list of models: another one answered, and one of those has a secret preamble of 680 tokens
    return "messages" in body and kinds <= {"function", "custom"} and not {"context_management", "models"} & body.keys()


@pytest.mark.parametrize(
    "exchange",
    [
        *exchanges("anthropic__messages__", _is_plain),
        *exchanges("groq__chat", _is_plain),
        *exchanges("huggingface__chat", _is_plain),
        *exchanges("mistral__chat", _is_plain),
        *exchanges("openai__chat", _is_plain),
        *exchanges("openrouter__chat", _is_plain),
        *exchanges("xai__chat", _is_plain),
    ],
)
def test_is_hardly_ever_below_what_a_provider_counted(exchange: Exchange) -> None:
    assert input_tokens(_question(exchange.question())) + PREAMBLE_TOKENS >= 0.9 * _counted(exchange.body)
