"""`/v1/chat/completions`, in one piece or streamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from trunkline.v1 import chat_pb2
from trunkline_server.core import money
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Headers, Reply
from trunkline_server.edge.facts import answer_headers
from trunkline_server.edge.openai.answer import completion, logprobs, tool_call, usage
from trunkline_server.edge.openai.errors import describe, refuse
from trunkline_server.edge.openai.question import question_of
from trunkline_server.edge.openai.shapes import ChatRequest
from trunkline_server.edge.openai.words import FINISHES
from trunkline_server.edge.reading import decode
from trunkline_server.edge.router import JSON

COMPLETE: Final = "/trunkline.v1.ChatService/Complete"
STREAM: Final = "/trunkline.v1.ChatService/Stream"
_WORDS: Final[Mapping[str, str]] = {"text": "content", "refusal": "refusal", "reasoning": "reasoning_content"}


class ChatCompletions(Spelling):
    """One call. Chunks count the tool calls of each choice from 0, where the contract counts parts."""

    def __init__(self, procedures: Mapping[str, Procedure]) -> None:
        self._procedures = procedures
        self._head: dict[str, Any] = {}
        self._seen: set[int] = set()
        self._calls: dict[tuple[int, int], int] = {}
        self._tells_usage = False
        self._spellings: Mapping[str, Callable[[Any], bytes]] = {
            "started": self._begun,
            "part_started": self._part_started,
            "part_delta": self._delta,
            "candidate_completed": self._finished,
            "heartbeat": lambda _: sse.HEARTBEAT,
            "completed": self._bill,
        }

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        request = decode(body, ChatRequest)
        input = question_of(request)
        if not request.stream:
            return visit.procedure, chat_pb2.CompleteRequest(input=input)
        self._tells_usage = bool(request.stream_options and request.stream_options.include_usage)
        return self._procedures[STREAM], chat_pb2.StreamRequest(input=input)

    def write(self, visit: Visit, response: Any) -> Reply:
        body = orjson.dumps(completion(response.completion))
        return Reply(200, (*JSON, *answer_headers(visit, response)), body)

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return refuse(visit, error)

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        return (*sse.HEADERS, *answer_headers(visit, first))

    def piece(self, message: Any) -> bytes:
        event: chat_pb2.ChatEvent = message.event
        kind = event.WhichOneof("event") or ""
        spell = self._spellings.get(kind)
        return spell(getattr(event, kind)) if spell is not None else b""

    def end(self, visit: Visit) -> bytes:
        return sse.event(b"[DONE]")

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        return sse.event(orjson.dumps({"error": describe(error)}))

    def _begun(self, started: chat_pb2.GenerationStarted) -> bytes:
        self._head = {
            "id": started.completion_id,
            "object": "chat.completion.chunk",
            "created": started.create_time.seconds,
            "model": started.model,
        }
        return b""

    def _part_started(self, started: chat_pb2.PartStarted) -> bytes:
        if started.part.WhichOneof("kind") != "tool_call":
            return b""
        place = sum(1 for candidate, _ in self._calls if candidate == started.candidate_index)
        self._calls[started.candidate_index, started.part_index] = place
        return self._chunk(
            started.candidate_index, {"tool_calls": [{"index": place, **tool_call(started.part.tool_call)}]}
        )

    def _delta(self, delta: chat_pb2.PartDelta) -> bytes:
        kind = delta.WhichOneof("delta") or ""
        if kind in _WORDS:
            return self._chunk(delta.candidate_index, {_WORDS[kind]: getattr(delta, kind)})
        if kind == "arguments_json":
            place = self._calls.get((delta.candidate_index, delta.part_index), 0)
            piece = {"index": place, "function": {"arguments": delta.arguments_json}}
            return self._chunk(delta.candidate_index, {"tool_calls": [piece]})
        return b""

    def _finished(self, finished: chat_pb2.CandidateCompleted) -> bytes:
        reason = FINISHES.get(finished.finish_reason, "stop")
        return self._chunk(finished.candidate_index, {}, reason, logprobs(finished.logprobs))

    def _bill(self, bill: chat_pb2.GenerationCompleted) -> bytes:
        """Also the charge, which came too late for the headers."""
        if not self._tells_usage:
            return b""
        told = {"charge": money.to_decimal_text(bill.charge.nanos), "price_version": bill.price_version}
        return sse.event(orjson.dumps(self._head | {"choices": [], "usage": usage(bill.usage), "trunkline": told}))

    def _chunk(self, index: int, delta: dict[str, Any], finish: str | None = None, probable: Any = None) -> bytes:
        if index not in self._seen:
            self._seen.add(index)
            delta = {"role": "assistant", **delta}
        choice = {"index": index, "delta": delta, "logprobs": probable, "finish_reason": finish}
        return sse.event(orjson.dumps(self._head | {"choices": [choice]}))
