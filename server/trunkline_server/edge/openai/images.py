"""`/v1/images/generations` and `/v1/images/edits`."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from google.protobuf.message import Message
from msgspec import Raw, Struct

from trunkline.v1 import content_pb2, images_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.exchange import Reply
from trunkline_server.edge.forms import File, Form
from trunkline_server.edge.openai.errand import Errand, FormErrand, extension, in_events, tokens, told
from trunkline_server.edge.reading import Int32, decode, extend

GENERATE: Final = "/trunkline.v1.ImageService/GenerateImages"
EDIT: Final = "/trunkline.v1.ImageService/EditImages"
_WORDS: Final = ("size", "quality", "style", "background")
_UNTOLD: Final = "application/octet-stream"


class ImagesRequest(Struct):
    prompt: str
    model: str = ""
    n: Int32 | None = None
    size: str | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    output_format: str | None = None
    response_format: str | None = None
    stream: bool | None = None
    trunkline: Raw = Raw()


class Generations(Errand):
    """Bytes come as `b64_json` whatever was asked for, where the provider has no address for them."""

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        request = decode(body, ImagesRequest)
        self.streamed = bool(request.stream)
        return visit.procedure, images_pb2.GenerateImagesRequest(input=_input_of(request))

    def write(self, visit: Visit, response: Any) -> Reply:
        return _drawn(visit, response, "image_generation.completed") if self.streamed else _written(visit, response)


class Edits(FormErrand):
    """The same for pictures that there are."""

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        form = self.form(body)
        input = _input_of(_request_of(form))
        input.images.extend(map(_blob, form.all_files("image", "images")))
        for mask in form.all_files("mask"):
            input.mask.CopyFrom(_blob(mask))
        return visit.procedure, images_pb2.EditImagesRequest(input=input)

    def write(self, visit: Visit, response: Any) -> Reply:
        return _drawn(visit, response, "image_edit.completed") if self.streamed else _written(visit, response)


def _request_of(form: Form) -> ImagesRequest:
    count = form.text("n")
    if count and not (count.isascii() and count.isdigit() and len(count) < 4):
        raise invalid("n", "must be a number")
    request = ImagesRequest(form.text("prompt"), form.text("model"), trunkline=extension(form))
    request.n = int(count) if count else None
    for name in (*_WORDS, "output_format", "response_format"):
        setattr(request, name, form.text(name) or None)
    return request


def _input_of(request: ImagesRequest) -> images_pb2.ImageInput:
    input = extend(images_pb2.ImageInput(), request.trunkline, request.model)
    input.prompt = request.prompt
    if request.n is not None:
        input.image_count = request.n
    for name in _WORDS:
        if value := getattr(request, name):
            setattr(input, name, value)
    if request.output_format:
        input.media_type = f"image/{request.output_format}"
    input.as_uri = input.as_uri or request.response_format == "url"
    return input


def _blob(file: File) -> content_pb2.Blob:
    told_type = "" if file.media_type == _UNTOLD else file.media_type
    return content_pb2.Blob(data=file.data, media_type=told_type)


def _written(visit: Visit, response: Any) -> Reply:
    body = {
        "created": response.receipt.create_time.seconds,
        "data": [_image(image) for image in response.images],
        "usage": tokens(response.receipt.usage),
    }
    return told(visit, response, body)


def _drawn(visit: Visit, response: Any, name: str) -> Reply:
    """An event for each picture, whole."""
    made: dict[str, Any] = {"type": name, "created_at": response.receipt.create_time.seconds}
    events = [made | _image(image) for image in response.images]
    for last in events[-1:]:
        last["usage"] = tokens(response.receipt.usage)
    return in_events(visit, response, *events)


def _image(image: images_pb2.GeneratedImage) -> dict[str, str | None]:
    data = image.blob.data
    return {
        "b64_json": b64encode(data).decode() if data else None,
        "url": image.blob.uri or None,
        "revised_prompt": image.revised_prompt or None,
    }
