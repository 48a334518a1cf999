"""What the tests of pictures and films share: real small pictures, errands, and forms read by another parser."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from typing import Any

from google.protobuf import duration_pb2

from trunkline.v1 import content_pb2, images_pb2, video_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.providers.sandbox.png import png
from trunkline_server.wire.http import HttpRequest

PNG = png("a cat", 8, 8)
OTHER = png("a dog", 8, 8)
JPEG = b"\xff\xd8\xff\xe0 not quite a picture"


def blob(data: bytes = PNG, media_type: str = "image/png") -> content_pb2.Blob:
    return content_pb2.Blob(data=data, media_type=media_type)


def picture(model: str, options: dict[str, object] | None = None, **fields: Any) -> Errand[images_pb2.ImageInput]:
    """An errand for a picture of a cat."""
    wanted = images_pb2.ImageInput(**{"prompt": "a cat", **fields})
    return Errand("p", model, wanted, options or {})


def film(model: str, seconds: int | None = None, **fields: Any) -> Errand[video_pb2.VideoInput]:
    """An errand for a film of a cat."""
    wanted = video_pb2.VideoInput(**{"prompt": "a cat", **fields})
    if seconds is not None:
        wanted.duration.CopyFrom(duration_pb2.Duration(seconds=seconds))
    return Errand("p", model, wanted)


def told(request: HttpRequest) -> dict[str, Any]:
    """What a request says: its JSON, or the parts of its form, files as (name, media type, content)."""
    kind = request.headers["content-type"]
    if kind == "application/json":
        answer: dict[str, Any] = json.loads(request.body)
        return answer
    message = message_from_bytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + request.body, policy=policy.HTTP)
    fields: dict[str, Any] = {}
    for part in message.iter_parts():
        name, filename = str(part.get_param("name", header="content-disposition")), part.get_filename()
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        value = (filename, part.get_content_type(), content) if filename else content.decode()
        fields[name] = [*fields[name], value] if isinstance(fields.get(name), list) else _more(fields, name, value)
    return fields


def _more(fields: dict[str, Any], name: Any, value: Any) -> Any:
    return [fields[name], value] if name in fields else value


def dropped(errand: Errand[Any]) -> list[str]:
    """The fields that there were warnings about."""
    return [warning.field.removeprefix("input.") for warning in errand.warnings]
