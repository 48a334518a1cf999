"""Spells a turn as a stream: an event for each candidate, word by word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, cycle
from typing import Final, NamedTuple

import orjson

from trunkline_server.providers.sandbox.reply import Piece, broken_off, error, event, padding
from trunkline_server.providers.sandbox.speech import CALL, CONTENT, Part
from trunkline_server.providers.sandbox.turn import Turn

DONE: Final = event(b"[DONE]")


class Delta(NamedTuple):
    """What one event adds, and how many words that is."""

    words: int
    says: Mapping[str, object]


def pieces(turn: Turn) -> Iterator[Piece]:
    """The body, piece by piece, up to its end or to where the script breaks it."""
    script, fault, words = turn.script, turn.script.fault, 0
    yield from padding(script.big_body, stream=True)
    yield Piece(_round(turn, [{"role": "assistant", "content": ""}] * len(turn.candidates)))
    pause_ms = script.first_token_ms
    for deltas in zip(*(_deltas(turn, candidate) for candidate in turn.candidates), strict=True):
        if words >= fault.after:
            break
        yield Piece(_round(turn, [delta.says for delta in deltas]), pause_ms / 1000)
        words, pause_ms = words + deltas[0].words, script.pace_ms
    yield from _end(turn) if words < fault.after else broken_off(fault.kind, _error(turn))


def _deltas(turn: Turn, candidate: int) -> Iterator[Delta]:
    yield from _said(turn, candidate)
    if turn.script.endless:
        again = (delta for delta in _said(turn, candidate) if delta.words)
        yield from cycle(chain([Delta(1, {CONTENT: " and "})], again))


def _said(turn: Turn, candidate: int) -> Iterator[Delta]:
    for part in turn.speech.parts:
        yield from _call(turn, candidate, part) if part.kind == CALL else _texts(turn, part)


def _texts(turn: Turn, part: Part) -> Iterator[Delta]:
    for count, text in _chunks(turn, part):
        yield Delta(count, {part.kind: text})


def _call(turn: Turn, candidate: int, part: Part) -> Iterator[Delta]:
    opening = {"id": turn.call_id(candidate, part.place), "type": "function"}
    yield Delta(0, _fragment(part.place, {"name": part.name, "arguments": ""}, opening))
    for count, text in _chunks(turn, part):
        yield Delta(count, _fragment(part.place, {"arguments": text}, {}))


def _fragment(place: int, function: Mapping[str, str], opening: Mapping[str, str]) -> Mapping[str, object]:
    return {"tool_calls": [{"index": place, **opening, "function": function}]}


def _chunks(turn: Turn, part: Part) -> Iterator[tuple[int, str]]:
    size = turn.script.chunk
    for start in range(0, len(part.words), size):
        words = part.words[start : start + size]
        yield len(words), "".join(words)


def _round(turn: Turn, says: list[Mapping[str, object]], finish_reason: str | None = None) -> bytes:
    """An event for each candidate."""
    choices = ({"index": at, "delta": delta, "finish_reason": finish_reason} for at, delta in enumerate(says))
    return b"".join(_event(turn, [choice]) for choice in choices)


def _event(turn: Turn, choices: list[object], **more: object) -> bytes:
    return event(orjson.dumps({**turn.envelope("chat.completion.chunk", choices), **more}))


def _error(turn: Turn) -> bytes:
    return event(orjson.dumps(error(500, turn.script.code)))


def _end(turn: Turn) -> Iterator[Piece]:
    options = turn.question.stream_options
    yield Piece(_round(turn, [{}] * len(turn.candidates), turn.speech.finish_reason))
    if turn.usage is not None and options is not None and options.include_usage:
        yield Piece(_event(turn, [], usage=turn.usage))
    yield Piece(DONE)
