"""`/v1/responses`, in one piece or streamed; nothing is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from trunkline.v1 import chat_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.chat_call import ChatCall, Words
from trunkline_server.edge.exchange import Reply
from trunkline_server.edge.openai import output
from trunkline_server.edge.openai.errors import describe, refuse
from trunkline_server.edge.openai.inquiry import question_of
from trunkline_server.edge.openai.items import ResponseRequest
from trunkline_server.edge.reading import decode

_DELTAS: Final[Mapping[str, str]] = {
    "text": "response.output_text.delta",
    "refusal": "response.refusal.delta",
    "arguments_json": "response.function_call_arguments.delta",
    "reasoning": "response.reasoning_summary_text.delta",
}


class Responses(ChatCall):
    """One call. Every part of the answer is an item of its own."""

    def __init__(self, procedures: Mapping[str, Procedure]) -> None:
        super().__init__(procedures)
        self._response: dict[str, Any] = {}
        self._key = ""
        self._sequence = -1
        self._places: dict[int, int] = {}
        self._finish: int = chat_pb2.FINISH_REASON_UNSPECIFIED

    def words(self) -> Words:
        return {
            "started": self._begun,
            "part_started": self._part_started,
            "part_delta": self._delta,
            "part_completed": self._part_completed,
            "candidate_completed": self._finished,
            "heartbeat": lambda _: sse.HEARTBEAT,
            "completed": self._completed,
        }

    def ask(self, body: bytes) -> tuple[chat_pb2.ChatInput, bool]:
        request = decode(body, ResponseRequest)
        return question_of(request), bool(request.stream)

    def whole(self, completion: chat_pb2.Completion) -> dict[str, Any]:
        return output.whole(completion)

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return refuse(visit, error)

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes:
        told = describe(error)
        failed = self._response | {"status": "failed", "error": {"code": told["code"], "message": told["message"]}}
        return self._event("response.failed", response=failed) + self._event("error", **told)

    # events

    def _begun(self, started: chat_pb2.GenerationStarted) -> bytes:
        self._key = started.completion_id.removeprefix("cmpl_")
        self._response = output.response(
            started.completion_id, started.create_time.seconds, started.model, "in_progress", ()
        )
        created = self._event("response.created", response=self._response)
        return created + self._event("response.in_progress", response=self._response)

    def _part_started(self, started: chat_pb2.PartStarted) -> bytes:
        begun = output.item(started.part, f"{self._key}_{started.part_index}", "in_progress")
        if begun is None or started.candidate_index:
            return b""
        place = self._places[started.part_index] = len(self._places)
        told = self._event("response.output_item.added", output_index=place, item=begun)
        if begun["type"] == "message":
            told += self._inside("response.content_part.added", begun, place, part=output.content(started.part))
        elif begun["type"] == "reasoning":
            told += self._summary("response.reasoning_summary_part.added", begun, place, part=_summary(""))
        return told

    def _delta(self, delta: chat_pb2.PartDelta) -> bytes:
        kind = delta.WhichOneof("delta") or ""
        place = self._places.get(delta.part_index)
        if kind not in _DELTAS or place is None or delta.candidate_index:
            return b""
        prefix = {"arguments_json": "fc", "reasoning": "rs"}.get(kind, "msg")
        at = {"item_id": f"{prefix}_{self._key}_{delta.part_index}", "output_index": place}
        inside = {"arguments_json": {}, "reasoning": {"summary_index": 0}}.get(kind, {"content_index": 0})
        more: dict[str, Any] = {"logprobs": []} if kind == "text" else {}
        return self._event(_DELTAS[kind], delta=getattr(delta, kind), **at, **inside, **more)

    def _part_completed(self, completed: chat_pb2.PartCompleted) -> bytes:
        done = output.item(completed.part, f"{self._key}_{completed.part_index}")
        place = self._places.get(completed.part_index)
        if done is None or place is None or completed.candidate_index:
            return b""
        self._response["output"].append(done)
        return self._last_words(done, place) + self._event("response.output_item.done", output_index=place, item=done)

    def _last_words(self, done: dict[str, Any], place: int) -> bytes:
        """The whole of what its deltas told."""
        match done["type"]:
            case "function_call":
                at = {"item_id": done["id"], "output_index": place}
                return self._event("response.function_call_arguments.done", arguments=done["arguments"], **at)
            case "reasoning":
                words = "".join(each["text"] for each in done["summary"])
                told = self._summary("response.reasoning_summary_text.done", done, place, text=words)
                return told + self._summary("response.reasoning_summary_part.done", done, place, part=_summary(words))
            case _:
                held = done["content"][0]
                kind = "refusal" if held["type"] == "refusal" else "text"
                name = "response.refusal.done" if kind == "refusal" else "response.output_text.done"
                more: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
                told = self._inside(name, done, place, **{kind: held[kind]}, **more)
                return told + self._inside("response.content_part.done", done, place, part=held)

    def _finished(self, finished: chat_pb2.CandidateCompleted) -> bytes:
        self._finish = self._finish or finished.finish_reason
        return b""

    def _completed(self, bill: chat_pb2.GenerationCompleted) -> bytes:
        whole = self._response | output.ending(self._finish, bill.usage)
        return self._event(f"response.{whole['status']}", response=whole)

    def _inside(self, name: str, item: dict[str, Any], place: int, **more: Any) -> bytes:
        return self._event(name, item_id=item["id"], output_index=place, content_index=0, **more)

    def _summary(self, name: str, item: dict[str, Any], place: int, **more: Any) -> bytes:
        return self._event(name, item_id=item["id"], output_index=place, summary_index=0, **more)

    def _event(self, name: str, **fields: Any) -> bytes:
        self._sequence += 1
        return sse.event(orjson.dumps({**fields, "type": name, "sequence_number": self._sequence}), name)


def _summary(words: str) -> dict[str, str]:
    return {"type": "summary_text", "text": words}
