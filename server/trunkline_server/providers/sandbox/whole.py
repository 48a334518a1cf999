"""Spells a turn as one JSON body."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from trunkline_server.providers.sandbox.reply import Piece, broken_off, error, padding
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.speech import CALL, CONTENT, Part
from trunkline_server.providers.sandbox.turn import Turn


def pieces(turn: Turn) -> Iterator[Piece]:
    """The body after the time that its words take, or as much of it as the script lets through."""
    return sent(turn.script, _spelled(turn), turn.speech.words())


def sent(script: Script, data: bytes, words: int) -> Iterator[Piece]:
    """A body of so many words, or as much of it as the script lets through."""
    yield from padding(script.big_body, stream=False, endless=script.endless)
    pause_s = (script.first_token_ms + script.pace_ms * words) / 1000
    fault = script.fault
    if words < fault.after:
        yield Piece(data, pause_s)
        return
    yield Piece(b"" if fault.kind == "error_in_stream" else data[: len(data) // 2], pause_s)
    yield from broken_off(fault.kind, orjson.dumps(error(500, script.code)))


def _spelled(turn: Turn) -> bytes:
    choices: list[object] = [_choice(turn, candidate) for candidate in turn.candidates]
    return orjson.dumps({**turn.envelope("chat.completion", choices), "usage": turn.usage})


def _choice(turn: Turn, candidate: int) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", CONTENT: None}
    message |= {part.kind: part.text for part in turn.speech.parts if part.kind != CALL}
    calls = [_call(turn, candidate, part) for part in turn.speech.parts if part.kind == CALL]
    if calls:
        message["tool_calls"] = calls
    return {"index": candidate, "message": message, "finish_reason": turn.speech.finish_reason}


def _call(turn: Turn, candidate: int, part: Part) -> dict[str, object]:
    function = {"name": part.name, "arguments": part.text}
    return {"id": turn.call_id(candidate, part.place), "type": "function", "function": function}
