"""What the spellings of work other than chat share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from trunkline.v1 import usage_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Visit
from trunkline_server.edge import sse
from trunkline_server.edge.calls import Spelling
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.facts import answer_headers
from trunkline_server.edge.forms import Form, form_of
from trunkline_server.edge.openai.errors import refuse
from trunkline_server.edge.reading import EXTENSION
from trunkline_server.edge.router import JSON


class Errand(Spelling):
    """Refused and answered alike. `streamed`: its caller wants events."""

    streamed = False

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return refuse(visit, error)


class FormErrand(Errand):
    """One that comes as a form with files in it."""

    takes_files = True

    def __init__(self, exchange: Exchange) -> None:
        self._content_type = exchange.header("content-type")

    def form(self, body: bytes) -> Form:
        """Raises MALFORMED_MESSAGE, VALIDATION."""
        form = form_of(self._content_type, body)
        self.streamed = form.text("stream") == "true"
        return form


def told(visit: Visit, response: Any, body: Any) -> Reply:
    """A JSON answer, with who made it and what it costs in the headers."""
    return Reply(200, (*JSON, *answer_headers(visit, response)), orjson.dumps(body))


def in_events(visit: Visit, response: Any, *events: Mapping[str, Any]) -> Reply:
    """The same as a stream, though it comes at once: what is made in one piece has no parts to tell before."""
    body = b"".join(sse.event(orjson.dumps(event), event["type"]) for event in events)
    return Reply(200, (*sse.HEADERS, *answer_headers(visit, response)), body)


def extension(form: Form) -> Raw:
    """Fields that the API has no word for, which a form holds as a text."""
    text = form.text(EXTENSION)
    return msgspec.Raw(text.encode()) if text else Raw()


def tokens(usage: usage_pb2.Usage) -> dict[str, int]:
    """What was used, where it is counted so."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
