"""The HTTP answer that a script makes of a turn."""

from __future__ import annotations

import orjson

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.sandbox import reply, stream, whole
from trunkline_server.providers.sandbox.reply import Reply
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.turn import Turn
from trunkline_server.providers.sandbox.work import Made


def played(turn: Turn) -> Reply:
    """Status, headers and body. Raises UpstreamFailure where nobody answers."""
    script, streamed = turn.script, bool(turn.question.stream)
    if trouble := troubled(script, stream=streamed):
        return trouble
    pieces = stream.pieces(turn) if streamed else whole.pieces(turn)
    return Reply(200, {"content-type": reply.EVENTS if streamed else reply.JSON}, pieces, script.head_ms / 1000)


def handed_over(script: Script, made: Made) -> Reply:
    """The same for work that is no chat."""
    return told(script, orjson.dumps(made.body), count=made.count)


def told(script: Script, data: bytes, content_type: str = reply.JSON, count: int = 1) -> Reply:
    """The same for any body; it has so many things in the place of words."""
    pieces = whole.sent(script, data, count)
    return troubled(script) or Reply(200, {"content-type": content_type}, pieces, script.head_ms / 1000)


def troubled(script: Script, *, stream: bool = False) -> Reply | None:
    """What comes in place of any answer, where the script has trouble. Raises UpstreamFailure where nobody answers."""
    if script.unreachable:
        raise UpstreamFailure(FailureKind.NEVER_SENT)
    if script.fails:
        return _failed(script)
    if script.malformed:
        return reply.malformed(script.malformed, stream=stream, pause_s=script.head_ms / 1000)
    return None


def _failed(script: Script) -> Reply:
    status = script.status if script.redirect is None else 307
    told = {"retry-after": script.retry_after, "location": script.redirect}
    headers = {name: text for name, text in told.items() if text is not None}
    return reply.body(reply.error(status, script.code), status, headers, script.head_ms / 1000)
