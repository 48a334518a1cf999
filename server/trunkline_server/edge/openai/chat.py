"""`/v1/chat/completions`, in one piece or streamed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from trunkline.v1 import chat_pb2
from trunkline_server.core import money
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.chat_call import ChatCall, Words
from trunkline_server.edge.exchange import Reply
from trunkline_server.edge.openai import answer
from trunkline_server.edge.openai.errors import describe, refuse
from trunkline_server.edge.openai.question import question_of
from trunkline_server.edge.openai.shapes import ChatRequest
from trunkline_server.edge.openai.words import FINISHES
from trunkline_server.edge.reading import decode

_WORDS: Final[Mapping[str, str]] = {"text": "content", "refusal": "refusal", "reasoning": "reasoning_content"}


class ChatCompletions(ChatCall):
    """One call. Chunks count the tool calls of each choice from 0, where the contract counts parts."""

    def __init__(self, procedures: Mapping[str, Procedure]) -> None:
        super().__init__(procedures)
        self._head: dict[str, Any] = {}
        self._seen: set[int] = set()
        self._calls: dict[tuple[int, int], int] = {}
        self._tells_usage = False

    def words(self) -> Words:
        return {
            "started": self._begun,
            "part_started": self._part_started,
            "part_delta": self._delta,
            "candidate_completed": self._finished,
            "heartbeat": lambda _: sse.HEARTBEAT,
            "completed": self._bill,
        }

    def ask(self, body: bytes) -> tuple[chat_pb2.ChatInput, bool]:
        request = decode(body, ChatRequest)
        self._tells_usage = bool(request.stream_options and request.stream_options.include_usage)
        return question_of(request), bool(request.stream)

    def whole(self, completion: chat_pb2.Completion) -> dict[str, Any]:
        return answer.completion(completion)

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return refuse(visit, error)

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
            started.candidate_index, {"tool_calls": [{"index": place, **answer.tool_call(started.part.tool_call)}]}
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
        return self._chunk(finished.candidate_index, {}, reason, answer.logprobs(finished.logprobs))

    def _bill(self, bill: chat_pb2.GenerationCompleted) -> bytes:
        """Also the charge, which came too late for the headers."""
        if not self._tells_usage:
            return b""
        told = {"charge": money.to_decimal_text(bill.charge.nanos), "price_version": bill.price_version}
        last = {"choices": [], "usage": answer.usage(bill.usage), "trunkline": told}
        return sse.event(orjson.dumps(self._head | last))

    def _chunk(self, index: int, delta: dict[str, Any], finish: str | None = None, probable: Any = None) -> bytes:
        if index not in self._seen:
            self._seen.add(index)
            delta = {"role": "assistant", **delta}
        choice = {"index": index, "delta": delta, "logprobs": probable, "finish_reason": finish}
        return sse.event(orjson.dumps(self._head | {"choices": [choice]}))
