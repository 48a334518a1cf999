"""Pictures by FAL: its models have many fields, and most name the usual ones alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import images_pb2
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.fal.queue import Kept, QueueCraft
from trunkline_server.wire.pictures import ImagesT, PictureErrand


class Image(Struct):
    """A picture: its address, or its bytes in one."""

    url: str
    content_type: str | None = None


class Result(Struct):
    """What a model has made: one picture, or several."""

    images: list[Image] | None = None
    image: Image | None = None
    seed: int | float | None = None
    has_nsfw_concepts: list[bool] | None = None
    prompt: str | None = None


_RESULT: Final = msgspec.json.Decoder(Result)


class _Images(QueueCraft[images_pb2.ImageInput, ImagesT]):
    """What making and changing share."""

    response: type[ImagesT]

    def body(self, errand: PictureErrand) -> dict[str, object]:
        asked = errand.input
        pictures.drop_set(errand, "quality", "background")
        told: dict[str, object] = {
            "prompt": asked.prompt,
            "negative_prompt": asked.negative_prompt,
            "num_images": asked.image_count or "",
            "aspect_ratio": asked.aspect_ratio,
            "style": asked.style,
            "output_format": pictures.output_format(errand),
        }
        told = {name: value for name, value in told.items() if value != ""}
        if size := pictures.dimensions(asked.size):
            told["image_size"] = {"width": size[0], "height": size[1]}
        if asked.HasField("seed"):
            told["seed"] = asked.seed
        return told if asked.as_uri else {**told, "sync_mode": True}

    def made(self, errand: PictureErrand, operation: Kept, body: bytes) -> Product[ImagesT]:  # noqa: ARG002
        return pictures.product(self.response, list(_images(dialect.parse(_RESULT, body))))


class FalImages(_Images[images_pb2.GenerateImagesResponse]):
    """Makes pictures."""

    response = images_pb2.GenerateImagesResponse


class FalImageEdits(_Images[images_pb2.EditImagesResponse]):
    """Changes pictures; the model says how."""

    response = images_pb2.EditImagesResponse

    def body(self, errand: PictureErrand) -> dict[str, object]:
        pictures.first_image(errand)
        addresses = [pictures.address(blob, "images") for blob in errand.input.images]
        told = super().body(errand)
        told |= {"image_url": addresses[0]} if len(addresses) == 1 else {"image_urls": addresses}
        if errand.input.HasField("mask"):
            told["mask_url"] = pictures.address(errand.input.mask, "mask")
        if errand.input.HasField("strength"):
            told["strength"] = errand.input.strength
        return told


def _images(result: Result) -> Iterator[images_pb2.GeneratedImage]:
    """What is said of each stands in lists beside them; a seed is that of all."""
    told = [*(result.images or ()), *([result.image] if result.image else ())]
    for each, hidden in zip_longest(told, (result.has_nsfw_concepts or ())[: len(told)], fillvalue=None):
        if each is not None:
            image = pictures.picture_at(each.url, each.content_type or "")
            image.filtered = hidden is True
            if (seed := pictures.told_seed(result.seed)) is not None:
                image.seed = seed
            yield image
