"""Pictures by a chat: models that draw as they talk, where a chat completion may hold pictures."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from trunkline.v1 import content_pb2, images_pb2, usage_pb2
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import failures, shapes
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.usage import usage_of
from trunkline_server.wire.pictures import ImagesT, PictureCraft, PictureErrand

RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
UNKNOWN: Final = ("negative_prompt", "quality", "style", "background", "media_type", "as_uri", "mask", "strength")


class Address(Struct):
    """Where a picture is; mostly it holds the bytes."""

    url: str = ""


class Image(Struct):
    """A picture beside the words."""

    image_url: Address


class Message(Struct):
    """What the model says; words are of no interest here."""

    images: list[Image] | None = None


class Choice(Struct):
    """One answer."""

    message: Message | None = None


class Details(shapes.CompletionDetails):
    """The output by what it was."""

    image_tokens: float | None = None


class Usage(shapes.Usage):
    """With the tokens of pictures."""

    completion_tokens_details: Details | None = None


class Answer(Struct):
    """A completion, or an error that says 200."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    id: str | None = None
    model: str | None = None
    error: Raw = Raw(b"null")


_ANSWER: Final = msgspec.json.Decoder(Answer)


class _ChatImages(PictureCraft[ImagesT]):
    """What making and changing share."""

    def ask(self, errand: PictureErrand, images: Sequence[content_pb2.Blob]) -> HttpRequest:
        pictures.drop_set(errand, *UNKNOWN)
        asked = errand.input
        parts: list[object] = [{"type": "text", "text": asked.prompt}] if asked.prompt else []
        parts += [{"type": "image_url", "image_url": {"url": pictures.address(blob, "images")}} for blob in images]
        body: dict[str, object] = {"model": errand.model, "messages": [{"role": "user", "content": parts}]}
        body["modalities"] = ["image", "text"]
        if ratio := pictures.ratio(errand, RATIOS):
            body["image_config"] = {"aspect_ratio": ratio}
        if asked.HasField("seed"):
            body["seed"] = asked.seed
        if errand.end_user:
            body["user"] = errand.end_user
        spelled = dialect.spell(dialect.merge(body, errand.options))
        return HttpRequest("POST", "/chat/completions", dialect.JSON_HEADERS, spelled)

    def decode(self, errand: PictureErrand, headers: Mapping[str, str], body: bytes) -> Product[ImagesT]:
        answer = dialect.parse(_ANSWER, body)
        if bytes(answer.error) != b"null":
            raise failures.of_event(b'{"error":%b}' % bytes(answer.error))
        images = list(_images(answer)) or ([pictures.withheld()] if answer.choices else [])
        product = self.product(images, _usage(answer.usage))
        product.response_id, product.model = answer.id or "", answer.model or ""
        return product


class ChatImages(_ChatImages[images_pb2.GenerateImagesResponse]):
    """Makes pictures."""

    response = images_pb2.GenerateImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        return self.ask(errand, ())


class ChatImageEdits(_ChatImages[images_pb2.EditImagesResponse]):
    """Changes pictures, by words."""

    response = images_pb2.EditImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        if errand.input.edit in (images_pb2.IMAGE_EDIT_VARIATION, images_pb2.IMAGE_EDIT_UPSCALE):
            raise dialect.unsupported("edit", "this provider changes pictures by words only")
        pictures.first_image(errand)
        return self.ask(errand, errand.input.images)


def _images(answer: Answer) -> Iterator[images_pb2.GeneratedImage]:
    for choice in answer.choices or ():
        for image in (choice.message.images if choice.message else None) or ():
            yield pictures.picture_at(image.image_url.url)


def _usage(told: Usage | None) -> usage_pb2.Usage | None:
    if told is None:
        return None
    usage = usage_of(told, Quirks())
    if images := dialect.count((told.completion_tokens_details or Details()).image_tokens):
        usage.unit_counts["output_image"] = images
    return usage
