"""Speaks, and listens, in the dialect of OpenAI's audio API. What it has spoken itself, it understands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Final, TypeAlias

import msgspec
import orjson

from trunkline_server.providers.sandbox.play import told, troubled
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Piece, Reply, broken_off, error
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.tones import WORD_MS, head, length_ms, tone, words_in
from trunkline_server.wire.http import HttpRequest

FindScript: TypeAlias = Callable[[str, Mapping[str, object], bytes], tuple[Script, str]]

WAV: Final = "audio/wav"
_BOUNDARY: Final = re.compile(r"boundary=([\w-]+)")
_NAME: Final = re.compile(rb'name="([^"]*)"')
_LINES: Final = msgspec.json.Decoder(dict[str, object])


class Asked(msgspec.Struct, frozen=True):
    """The fields that change what the sandbox says; others are skipped."""

    model: str
    input: Annotated[str, msgspec.Meta(min_length=1)]
    script: dict[str, object] | None = None


_ASKED: Final = msgspec.json.Decoder(Asked)


def spoken(body: bytes, find_script: FindScript) -> Reply:
    """The sound, a word at a time. Raises Refusal."""
    try:
        asked = _ASKED.decode(body)
    except (ValueError, RecursionError) as problem:
        raise Refusal(400, "invalid_request", "the body is not a request for speech") from problem
    script, _ = find_script(asked.model, asked.script or {}, body)
    pieces = _tones(asked.input if script.text is None else script.text, script)
    return troubled(script) or Reply(200, {"content-type": WAV}, pieces, script.head_ms / 1000)


def heard(request: HttpRequest, find_script: FindScript) -> Reply:
    """What was said in the recording, with times where they are asked for. Raises Refusal."""
    fields = form(request)
    try:
        lines = _LINES.decode(fields.get("script", b"{}"))
        model, recording = fields["model"].decode(), fields["file"]
    except (KeyError, ValueError, RecursionError) as problem:
        raise Refusal(400, "invalid_request", "the form is not a request for a transcript") from problem
    script, _ = find_script(model, lines, request.body)
    text = (words_in(recording) or f"{len(recording)} bytes") if script.text is None else script.text
    return told(script, orjson.dumps(_transcript(text, length_ms(recording) / 1000, script)))


def _tones(text: str, script: Script) -> Iterator[Piece]:
    words, fault = text.split(), script.fault
    yield Piece(head(text, len(words)), script.first_token_ms / 1000)
    for place, word in enumerate(words):
        if place >= fault.after:
            break
        yield Piece(tone(word), script.pace_ms / 1000 if place else 0.0)
    if fault.after <= len(words):
        # bare sound has no place for an error: it ends as a broken connection does
        kind = "reset_after" if fault.kind in ("error_in_stream", "cut_after") else fault.kind
        yield from broken_off(kind, orjson.dumps(error(500, script.code)))


def _transcript(text: str, length_s: float, script: Script) -> dict[str, object]:
    words = [
        {"word": word, "start": at * WORD_MS / 1000, "end": (at + 1) * WORD_MS / 1000}
        for at, word in enumerate(text.split())
    ]
    usage = {"type": "duration", "seconds": length_s} if script.usage is not None else None
    segments = [{"id": 0, "start": 0.0, "end": length_s, "text": text}]
    return {"text": text, "language": "en", "words": words, "segments": segments, "usage": usage}


def form(request: HttpRequest) -> dict[str, bytes]:
    """The fields of a form by name."""
    found = _BOUNDARY.search(request.headers.get("content-type", ""))
    if found is None:
        return {}
    parts = (part.partition(b"\r\n\r\n") for part in request.body.split(b"--" + found[1].encode()))
    named = ((_NAME.search(head), content) for head, _, content in parts)
    return {name[1].decode(errors="replace"): content.removesuffix(b"\r\n") for name, content in named if name}
