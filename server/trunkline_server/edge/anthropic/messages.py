"""`/v1/messages`, in one piece or streamed, and the counting of its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from trunkline.v1 import chat_pb2
from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.anthropic import answer
from trunkline_server.edge.anthropic.errors import describe, refuse
from trunkline_server.edge.anthropic.question import question_of
from trunkline_server.edge.anthropic.shapes import MessagesRequest
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.chat_call import ChatCall, Words
from trunkline_server.edge.exchange import Headers, Reply
from trunkline_server.edge.facts import answer_headers
from trunkline_server.edge.reading import decode
from trunkline_server.edge.router import JSON

COUNT: Final = "/trunkline.v1.ChatService/CountTokens"
_DELTAS: Final[Mapping[str, tuple[str, str]]] = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "arguments_json": ("input_json_delta", "partial_json"),
}


class Messages(ChatCall):
    """One call. Blocks are counted in the order in which they begin."""

    def __init__(self, procedures: Mapping[str, Procedure]) -> None:
        super().__init__(procedures)
        self._places: dict[int, int] = {}
        self._stop: dict[str, Any] = {}

    def words(self) -> Words:
        return {
            "started": self._begun,
            "part_started": self._part_started,
            "part_delta": self._delta,
            "part_completed": self._part_completed,
            "candidate_completed": self._finished,
            "heartbeat": lambda _: _event("ping"),
            "completed": self._completed,
        }

    def ask(self, body: bytes) -> tuple[chat_pb2.ChatInput, bool]:
        request = decode(body, MessagesRequest)
        if request.max_tokens is None:
            raise invalid("max_tokens", "is required")
        return question_of(request), bool(request.stream)

    def whole(self, completion: chat_pb2.Completion) -> dict[str, Any]:
        return answer.whole(completion)

    def headers(self, visit: Visit, answer: Message | None) -> Headers:
        return _headers(visit, answer)

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return refuse(visit, error)

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        return sse.event(orjson.dumps(describe(error, visit.call.request_id)), "error")

    def _begun(self, started: chat_pb2.GenerationStarted) -> bytes:
        return _event("message_start", message=answer.message(started.completion_id, started.model))

    def _part_started(self, started: chat_pb2.PartStarted) -> bytes:
        block = answer.block(started.part)
        if block is None or started.candidate_index:
            return b""
        place = self._places[started.part_index] = len(self._places)
        return _event("content_block_start", index=place, content_block=block)

    def _delta(self, delta: chat_pb2.PartDelta) -> bytes:
        kind = delta.WhichOneof("delta") or ""
        place = self._places.get(delta.part_index)
        if kind not in _DELTAS or place is None or delta.candidate_index:
            return b""
        name, field = _DELTAS[kind]
        return _event("content_block_delta", index=place, delta={"type": name, field: getattr(delta, kind)})

    def _part_completed(self, completed: chat_pb2.PartCompleted) -> bytes:
        place = self._places.get(completed.part_index)
        if place is None or completed.candidate_index:
            return b""
        signature = answer.signature(completed.part) if completed.part.HasField("reasoning") else ""
        delta = {"type": "signature_delta", "signature": signature}
        told = _event("content_block_delta", index=place, delta=delta) if signature else b""
        return told + _event("content_block_stop", index=place)

    def _finished(self, finished: chat_pb2.CandidateCompleted) -> bytes:
        self._stop = self._stop or answer.stop(finished.finish_reason, finished.stop_sequence)
        return b""

    def _completed(self, bill: chat_pb2.GenerationCompleted) -> bytes:
        delta = self._stop or answer.stop(chat_pb2.FINISH_REASON_STOP, "")
        return _event("message_delta", delta=delta, usage=answer.usage(bill.usage)) + _event("message_stop")


class CountTokens(Spelling):
    """What a message would have as input."""

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        return visit.procedure, chat_pb2.CountTokensRequest(input=question_of(decode(body, MessagesRequest)))

    def write(self, visit: Visit, response: Any) -> Reply:
        return Reply(200, (*JSON, *_headers(visit, None)), orjson.dumps({"input_tokens": response.input_tokens}))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return refuse(visit, error)


def _headers(visit: Visit, response: Message | None) -> Headers:
    return (("request-id", visit.call.request_id), *answer_headers(visit, response))


def _event(name: str, **fields: Any) -> bytes:
    return sse.event(orjson.dumps({"type": name, **fields}), name)
