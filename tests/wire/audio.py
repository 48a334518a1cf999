"""What the tests of sound share: errands, and crafts as the providers are declared with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from email import policy
from email.parser import BytesParser
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.operation import Operation
from trunkline_server.core.product import Product, Sound
from trunkline_server.providers.builtin import declaration, declarations
from trunkline_server.wire.http import HttpRequest

WORD = audio_pb2.TIMESTAMP_GRANULARITY_WORD
SEGMENT = audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT
SPEAKERS = [each.name for each in declarations() if Operation.SPEECH in each.crafts]
LISTENERS = [each.name for each in declarations() if Operation.TRANSCRIPTION in each.crafts]
SSE = "text/event-stream"
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
RECORDING = content_pb2.Blob(data=b"RIFF\r\n--", media_type="audio/wav")


def dropped(errand: Any) -> list[str]:
    return [warning.field.removeprefix("input.") for warning in errand.warnings]


def events(*told: object) -> bytes:
    return b"".join(
        b"data: " + (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\r\n\r\n" for each in told
    )


@st.composite
def spoiled(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with a piece cut out, and others put in."""
    start, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


def spoken(provider: str, model: str = "m", options: Mapping[str, object] | None = None, **said: Any) -> Errand[Any]:
    return Errand(provider, model, audio_pb2.SpeechInput(model="m", **{"text": "Hi", **said}), options or {})


def heard(provider: str, model: str = "m", options: Mapping[str, object] | None = None, **said: Any) -> Errand[Any]:
    asked = audio_pb2.TranscriptionInput(model="m", **{"audio": RECORDING, **said})
    return Errand(provider, model, asked, options or {})


def craft(provider: str, operation: Operation) -> Any:
    return declaration(provider).crafts[operation]


def said(errand: Errand[Any]) -> HttpRequest:
    """The request for speech."""
    request: HttpRequest = craft(errand.provider, Operation.SPEECH).encode(errand)
    return request


def sent(
    errand: Errand[Any], operation: Operation = Operation.TRANSCRIPTION
) -> tuple[HttpRequest, list[tuple[str, str]]]:
    """The request, and the fields of its form; a file is its name and media type."""
    request: HttpRequest = craft(errand.provider, operation).encode(errand)
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: Any = BytesParser(policy=policy.HTTP).parsebytes(head + request.body).iter_parts()
    return request, [(part.get_param("name", header="content-disposition"), _content(part)) for part in parts]


def _content(part: Any) -> str:
    if part.get_filename():
        return f"{part.get_filename()} {part.get_content_type()}"
    return str(part.get_payload(decode=True).decode())


def listen(errand: Errand[Any], pieces: Iterable[bytes], content_type: str) -> tuple[Sound, bytes]:
    """The sound that comes of a body in pieces."""
    sound, whole = Sound(), b""
    decoder = craft(errand.provider, Operation.SPEECH).decode(errand, sound, {"content-type": content_type})
    for piece in pieces:
        decoder.feed(piece)
        whole += sound.drain()
    decoder.close()
    return sound, whole + sound.drain()


def read(
    errand: Errand[Any],
    body: bytes,
    content_type: str = "application/json",
    operation: Operation = Operation.TRANSCRIPTION,
) -> Product[Any]:
    product: Product[Any] = craft(errand.provider, operation).decode(errand, {"content-type": content_type}, body)
    return product
