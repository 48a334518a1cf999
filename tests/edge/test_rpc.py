"""Every RPC over HTTP: Connect, gRPC-Web and plain JSON mean the same call as gRPC."""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, question, text_of
from tests.fixtures.http import Http
from trunkline.v1 import chat_pb2, models_pb2

COMPLETE = "/trunkline.v1.ChatService/Complete"
STREAM = "/trunkline.v1.ChatService/Stream"
GET_MODEL = "/trunkline.v1.ModelService/GetModel"
MESSAGE = {"role": "ROLE_USER", "parts": [{"text": {"text": "one two three"}}]}
HELLO: dict[str, Any] = {"input": {"model": "sandbox/echo", "messages": [MESSAGE]}}
BROKEN = HELLO["input"] | {"providerOptionsJson": {"sandbox": '{"script": {"cut_after": 1, "chunk": 1}}'}}
BINARY = chat_pb2.CompleteRequest(input=question("one two three")).SerializeToString()


def envelope(data: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(data)) + data


def envelopes(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        flags, length = struct.unpack_from(">BI", body)
        found.append((flags, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def text_of_events(events: list[dict[str, Any]]) -> str:
    return "".join(each["event"].get("partDelta", {}).get("text", "") for each in events)


async def test_plain_json(books: Books, http: Http) -> None:
    answer = await http.post(COMPLETE, HELLO, x_trunkline_user="ada", x_request_id="mine")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    completion = answer.json()["completion"]
    assert completion["candidates"][0]["message"]["parts"][0]["text"]["text"] == "one two three"
    assert completion["usage"]["inputTokens"] == "3", "64-bit numbers are text"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-trunkline-completion-id"] == completion["completionId"]
    assert float(answer.headers["x-trunkline-charge"]) > 0
    assert await books.charges() == [int(completion["charge"]["nanos"])]


async def test_names_of_the_proto_are_taken_and_unknown_ones_are_told(http: Http) -> None:
    taken = HELLO["input"] | {"provider_options_json": {"sandbox": '{"script": {"text": "x"}}'}}
    assert (await http.post(COMPLETE, {"input": taken})).status == 200
    answer = await http.post(COMPLETE, {"input": HELLO["input"] | {"maxCosts": {}}})
    assert (answer.status, answer.json()["code"]) == (400, "invalid_argument")
    assert "maxCosts" in answer.json()["message"]


async def test_binary(http: Http) -> None:
    answer = await http.post(COMPLETE, body=BINARY, content_type="application/proto")
    assert text_of(chat_pb2.CompleteResponse.FromString(answer.body).completion) == "one two three"


async def test_trailers_of_connect_have_their_prefix(http: Http) -> None:
    answer = await http.post(COMPLETE, HELLO, connect_protocol_version="1")
    assert answer.headers["trailer-x-trunkline-completion-id"].startswith("cmpl_")


async def test_a_stream_as_lines_of_json(http: Http) -> None:
    answer = await http.post(STREAM, HELLO)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert text_of_events(answer.lines) == "one two three"
    assert "completed" in answer.lines[-1]["event"]
    broken = await http.post(STREAM, {"input": BROKEN})
    assert (broken.lines[-1]["error"]["code"], broken.status) == ("unavailable", 200)
    assert (await http.post(STREAM, {"input": {}})).status == 400, "nothing was said yet, so the status is clean"


@pytest.mark.parametrize("codec", ["json", "proto"])
async def test_a_stream_in_envelopes(http: Http, codec: str) -> None:
    asked = json.dumps(HELLO).encode() if codec == "json" else BINARY
    answer = await http.post(STREAM, body=envelope(asked), content_type=f"application/connect+{codec}")
    *messages, (flags, end) = envelopes(answer.body)
    assert answer.headers["content-type"] == f"application/connect+{codec}"
    assert (flags, "error" in json.loads(end)) == (2, False)
    assert json.loads(end)["metadata"]["x-trunkline-charge"]
    assert {flag for flag, _ in messages} == {0}
    if codec == "json":
        assert text_of_events([json.loads(data) for _, data in messages]) == "one two three"
    else:
        assert chat_pb2.StreamResponse.FromString(messages[-1][1]).event.HasField("completed")


async def test_a_stream_in_envelopes_that_fails(http: Http) -> None:
    headers: dict[str, Any] = {"content_type": "application/connect+json"}
    broken = await http.post(STREAM, body=envelope(json.dumps({"input": BROKEN}).encode()), **headers)
    assert json.loads(envelopes(broken.body)[-1][1])["error"]["code"] == "unavailable"
    for body in (b"\0", envelope(b"{}")[:-1], envelope(b"{}", 1), envelope(b"{}") * 2, envelope(b"nonsense")):
        refused = await http.post(STREAM, body=body, **headers)
        assert refused.status == 200
        assert json.loads(envelopes(refused.body)[-1][1])["error"]["code"] == "invalid_argument"


async def test_grpc_web(http: Http) -> None:
    for kind in ["grpc-web", "grpc-web+proto", "grpc-web-text", "grpc-web+json"]:
        for path in (COMPLETE, STREAM):
            await speak_grpc_web(http, kind, path)


async def speak_grpc_web(http: Http, kind: str, path: str) -> None:
    asked = envelope(json.dumps(HELLO).encode() if "json" in kind else BINARY)
    body = b64encode(asked) if "text" in kind else asked
    answer = await http.post(path, body=body, content_type=f"application/{kind}")
    assert answer.headers["content-type"].startswith(f"application/{kind}")
    *messages, (flags, trailers) = envelopes(_web_body(answer.body) if "text" in kind else answer.body)
    assert (flags, trailers.startswith(b"grpc-status: 0\r\n")) == (0x80, True)
    assert b"x-trunkline-charge: " in trailers
    assert len(messages) == 1 if path == COMPLETE else len(messages) > 2


async def test_grpc_web_that_fails(http: Http) -> None:
    asked = envelope(chat_pb2.CompleteRequest(input=question("x", "sandbox/none")).SerializeToString())
    answer = await http.post(COMPLETE, body=asked, content_type="application/grpc-web", authorization="Bearer é")
    [(flags, trailers)] = envelopes(answer.body)
    assert (answer.status, flags) == (200, 0x80)
    assert b"grpc-status: 16\r\n" in trailers
    assert b"grpc-status-details-bin: " in trailers
    bad = await http.post(COMPLETE, body=b"!!!!", content_type="application/grpc-web-text")
    assert b"grpc-status: 3" in _web_body(bad.body)


async def test_an_error_has_the_details_of_grpc(http: Http) -> None:
    answer = await http.post(COMPLETE, {"input": HELLO["input"] | {"sampling": {"temperature": 9}}})
    told = answer.json()
    assert (answer.status, told["code"]) == (400, "invalid_argument")
    details = {detail["type"]: detail for detail in told["details"]}
    info = error_details_pb2.ErrorInfo.FromString(b64decode(details["google.rpc.ErrorInfo"]["value"] + "=="))
    assert info.reason == details["google.rpc.ErrorInfo"]["debug"]["reason"] == "VALIDATION"
    violation = details["google.rpc.BadRequest"]["debug"]["fieldViolations"][0]
    assert violation["field"] == "input.sampling.temperature"


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"authorization": ""}, 401, "unauthenticated"),
    ({"authorization": "Bearer tl_live_none"}, 401, "unauthenticated"),
    ({"x_trunkline_user": "a" * 300}, 400, "invalid_argument"),
    ({"connect_timeout_ms": "1"}, 504, "deadline_exceeded"),
    ({"connect_timeout_ms": "soon"}, 400, "invalid_argument"),
    ({"grpc_timeout": "1n"}, 504, "deadline_exceeded"),
    ({"grpc_timeout": "9"}, 400, "invalid_argument"),
    ({"content_encoding": "gzip"}, 400, "invalid_argument"),
]


async def test_what_is_refused(books: Books, http: Http) -> None:
    for changed, status, code in REFUSED:
        answer = await http.post(COMPLETE, HELLO, **changed)
        assert (answer.status, answer.json()["code"]) == (status, code), changed
    assert await books.holds() == []


async def test_what_is_no_json(http: Http) -> None:
    for body in (b"nonsense", b"[1]", b"[" * 100_000, b"\xff\xfe", b'{"input": 3}', b'"text"'):
        answer = await http.post(COMPLETE, body=body)
        assert (answer.status, answer.json()["code"]) == (400, "invalid_argument"), body[:20]


async def test_unknown_methods_and_types(http: Http) -> None:
    for path in ("/trunkline.v1.ChatService/None", "/trunkline.v1.None/Complete"):
        unknown = await http.post(path, HELLO)
        assert (unknown.status, unknown.json()["code"]) == (404, "unimplemented")
    for content_type in ("text/plain", "application/xml", "application/connect+json"):
        refused = await http.post(COMPLETE, HELLO, content_type=content_type)
        assert refused.status == 415
    assert "application/json" in refused.headers["accept-post"]
    assert (await http.post(STREAM, body=b"x", content_type="application/proto")).status == 415


async def test_get_for_what_changes_nothing(http: Http) -> None:
    message = quote('{"name": "sandbox/echo"}')
    answer = await http.get(f"{GET_MODEL}?connect=v1&encoding=json&message={message}")
    assert answer.json()["model"]["name"] == "sandbox/echo"
    binary = b64encode(models_pb2.GetModelRequest(name="sandbox/echo").SerializeToString()).decode().rstrip("=")
    answer = await http.get(f"{GET_MODEL}?encoding=proto&base64=1&message={quote(binary)}")
    assert models_pb2.GetModelResponse.FromString(answer.body).model.name == "sandbox/echo"
    assert (await http.get(f"{COMPLETE}?encoding=json&message={message}")).status == 405
    assert (await http.get(f"{GET_MODEL}?encoding=yaml&message={message}")).status == 415
    assert (await http.get(f"{GET_MODEL}?encoding=proto&base64=1&message=%21%21%C3%A9")).status == 400


async def test_a_request_id_counts_on_both_doors(books: Books, gateway: RunningGateway, http: Http) -> None:
    asked = chat_pb2.CompleteRequest(input=question("one two three"), request_id="once")
    first = await gateway.chat.Complete(asked, metadata=gateway.metadata())
    again = await http.post(COMPLETE, HELLO, idempotency_key="once")
    assert again.json()["completion"]["completionId"] == first.completion.completion_id
    assert len(await books.usage()) == 1


async def test_a_large_question_is_read_aside(http: Http) -> None:
    message = {"role": "ROLE_USER", "parts": [{"text": {"text": "word " * 40_000}}]}
    answer = await http.post(COMPLETE, {"input": {"model": "sandbox/free", "messages": [message]}})
    assert answer.json()["completion"]["usage"]["inputTokens"] == "40000"


def _web_body(body: bytes) -> bytes:
    """Pieces of base64, each with its padding."""
    return b"".join(b64decode(piece + b"=" * (-len(piece) % 4)) for piece in body.split(b"=") if piece)
