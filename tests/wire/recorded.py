"""What the tests of all wires share: recorded exchanges from outside, random cuts, and the fold of a stream."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.wire.dialect import Decoder

EXCHANGES = Path(__file__).parents[2].parent / "shared/wire/exchanges"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, as they were on the wire."""

    name: str
    path: str
    request: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    tags: tuple[str, ...]

    @property
    def good(self) -> bool:
        return self.status == 200

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "application/json")

    @property
    def streamed(self) -> bool:
        return not {"kind:sse", "kind:ndjson"}.isdisjoint(self.tags)

    def question(self) -> Any:
        return json.loads(self.request)

    def answer(self) -> Any:
        return json.loads(self.body)

    def events(self) -> Iterator[Any]:
        """The JSON of each server-sent event, read line by line."""
        for line in self.body.decode().splitlines():
            if line.startswith("data:") and line[5:].strip() != "[DONE]":
                yield json.loads(line[5:])


def exchanges(prefix: str, where: Callable[[Exchange], bool] = lambda _: True) -> list[Any]:
    """Parameters for a test over the recorded exchanges of that name; one that skips where the folder is missing."""
    found = [_load(file) for file in sorted(EXCHANGES.glob(f"{prefix}*.json"))]
    if not found:
        missing = pytest.mark.skip(reason=f"no recorded exchanges {prefix!r} at {EXCHANGES}")
        return [pytest.param(None, id="missing", marks=missing)]
    return [pytest.param(each, id=each.name.removesuffix(".json")) for each in found if where(each)]


def _load(file: Path) -> Exchange:
    stored = json.loads(file.read_bytes())
    request, response = stored["request"], stored["response"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return Exchange(
        name=stored["name"],
        path=request["path"],
        request=(request["body"] or "").encode(),
        status=response["status"],
        headers=headers,
        body=_bytes(response["body"], response.get("body_encoding", "utf-8")),
        tags=tuple(stored["tags"]),
    )


def _bytes(body: str | None, encoding: str) -> bytes:
    return base64.b64decode(body or "") if encoding == "base64" else (body or "").encode()


def cut(body: bytes, seed: int) -> list[bytes]:
    """The body in pieces, at random byte positions: inside of characters, and between CR and LF."""
    chance = random.Random(seed)
    count = min(len(body), chance.choice((0, 1, 3, 20, 200)))
    return pieces(body, [chance.randrange(len(body)) for _ in range(count)])


def pieces(body: bytes, positions: Iterable[int]) -> list[bytes]:
    """The body cut at these positions."""
    edges = [0, *sorted(position % (len(body) + 1) for position in positions), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def read(decoder: Callable[[Answer], Decoder], parts: Iterable[bytes], *, streaming: bool = False) -> Answer:
    """The answer that a decoder makes of the parts; when streaming, the events that it gives must add up to it."""
    answer = Answer(streaming=streaming)
    reader = decoder(answer)
    events: list[chat_pb2.ChatEvent] = []
    for part in parts:
        reader.feed(part)
        events += answer.drain()
    reader.close()
    if streaming:
        events += [*answer.drain(), *answer.endings()]
        assert fold(events) == answer.candidates()
    return answer


def fold(events: Iterable[chat_pb2.ChatEvent]) -> list[chat_pb2.Candidate]:
    """What a client puts together from the events of a stream; deltas must add up to the whole parts."""
    candidates: dict[int, chat_pb2.Candidate] = {}
    for event in events:
        change = getattr(event, event.WhichOneof("event") or "started")
        candidate = candidates.setdefault(change.candidate_index, chat_pb2.Candidate(index=change.candidate_index))
        candidate.message.role = content_pb2.ROLE_ASSISTANT
        _apply(candidate, change)
    return [candidates[index] for index in sorted(candidates)]


def _apply(candidate: chat_pb2.Candidate, change: Any) -> None:
    parts = candidate.message.parts
    match change:
        case chat_pb2.PartStarted():
            assert change.part_index == len(parts)
            parts.append(change.part)
        case chat_pb2.PartDelta():
            _grow(parts[change.part_index], change)
        case chat_pb2.PartCompleted():
            _check_grown(parts[change.part_index], change.part)
            parts[change.part_index].CopyFrom(change.part)
        case chat_pb2.CandidateCompleted():
            candidate.finish_reason = change.finish_reason
            candidate.provider_finish_reason = change.provider_finish_reason
            candidate.stop_sequence = change.stop_sequence
            candidate.logprobs.extend(change.logprobs)
        case _:
            pass  # the start and the bill


def _grow(part: content_pb2.Part, delta: chat_pb2.PartDelta) -> None:
    match delta.WhichOneof("delta"):
        case "text":
            part.text.text += delta.text
        case "reasoning":
            part.reasoning.text += delta.reasoning
        case "refusal":
            part.refusal.text += delta.refusal
        case "arguments_json":
            part.tool_call.arguments_json += delta.arguments_json
        case "citation":
            part.text.citations.append(delta.citation)
        case _:
            pass  # state and data arrive whole with the part


def _check_grown(grown: content_pb2.Part, whole: content_pb2.Part) -> None:
    assert grown.WhichOneof("kind") == whole.WhichOneof("kind")
    assert list(grown.text.citations) == list(whole.text.citations)
    if grown.WhichOneof("kind") in ("text", "refusal"):
        assert (grown.text.text, grown.refusal.text) == (whole.text.text, whole.refusal.text)
    if grown.tool_call.arguments_json:
        assert grown.tool_call.arguments_json == whole.tool_call.arguments_json
