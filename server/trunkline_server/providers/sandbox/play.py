"""The HTTP answer that a script makes of a turn."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.sandbox import reply, stream, whole
from trunkline_server.providers.sandbox.reply import Reply
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.turn import Turn


def played(turn: Turn) -> Reply:
    """Status, headers and body. Raises UpstreamFailure where nobody answers."""
    script, streamed = turn.script, bool(turn.question.stream)
    if trouble := troubled(script, stream=streamed):
        return trouble
    pieces = stream.pieces(turn) if streamed else whole.pieces(turn)
    return Reply(200, {"content-type": reply.EVENTS if streamed else reply.JSON}, pieces, script.head_ms / 1000)


def troubled(script: Script, *, stream: bool = False) -> Reply | None:
    """What comes in place of any answer, where the script has trouble. Raises UpstreamFailure where nobody answers."""
    if script.unreachable:
        raise UpstreamFailure(FailureKind.NEVER_SENT)
    if script.fails:
        return _failed(script)
    if script.malformed:
        return reply.malformed(script.malformed, stream=stream, pause_s=script.head_ms / 1000)
    return None


def told(script: Script, data: bytes, content_type: str = reply.JSON) -> Reply:
    """Work that is no chat, in one piece; or half of it, where the script breaks it off."""
    pause_s = script.head_ms / 1000
    return troubled(script) or Reply(200, {"content-type": content_type}, _whole(script, data), pause_s)


def _whole(script: Script, data: bytes) -> Iterator[reply.Piece]:
    yield from reply.padding(script.big_body, stream=False, endless=script.endless)
    kind, pause_s = script.fault.kind, script.first_token_ms / 1000
    if not kind:
        yield reply.Piece(data, pause_s)
        return
    yield reply.Piece(b"" if kind == "error_in_stream" else data[: len(data) // 2], pause_s)
    yield from reply.broken_off(kind, orjson.dumps(reply.error(500, script.code)))


def _failed(script: Script) -> Reply:
    status = script.status if script.redirect is None else 307
    told = {"retry-after": script.retry_after, "location": script.redirect}
    headers = {name: text for name, text in told.items() if text is not None}
    return reply.body(reply.error(status, script.code), status, headers, script.head_ms / 1000)
