"""Stability's pictures: a form goes out, the bytes of one picture come back, and headers say what became of it."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import content_pb2, images_pb2
from trunkline_server.core.errors import Reason, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import File, multipart
from trunkline_server.wire.pictures import ImagesT, PictureCraft, PictureErrand
from trunkline_server.wire.stability.routes import PREFIX, PROMPT, ROUTES, Route

RATIOS: Final = ("1:1", "16:9", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
SEED_MAX: Final = 4_294_967_294
STRENGTH: Final = 0.5
"""How much of a picture may go where that is not said, and the provider insists on knowing."""
FILTERED: Final = "CONTENT_FILTERED"
FIELDS: Final = frozenset({"negative_prompt", "style", "strength", "mask", "seed"})
NOT_HERE: Final = ("quality", "background", "as_uri")


class Told(Struct):
    """A picture in JSON, as some servers in between have it."""

    image: str = ""
    finish_reason: str = ""
    seed: int | float | None = None


_TOLD: Final = msgspec.json.Decoder(Told)


@dataclass(frozen=True)
class _Images(PictureCraft[ImagesT]):
    """What making and changing share: one picture a request."""

    def form(self, errand: PictureErrand, route: Route, told: Mapping[str, object], *files: File) -> HttpRequest:
        fields = {**_fields(errand, route), **told, **errand.options}
        spelled = ((name, dialect.form_text(value)) for name, value in fields.items())
        content_type, body = multipart(spelled, files)
        return HttpRequest("POST", route.path, {"content-type": content_type, "accept": "image/*"}, body)

    def decode(self, errand: PictureErrand, headers: Mapping[str, str], body: bytes) -> Product[ImagesT]:
        image, reason, seed = _read(headers, body)
        image.filtered = reason == FILTERED
        if seed is not None:
            image.seed = seed
        return self.product([image])


class StabilityImages(_Images[images_pb2.GenerateImagesResponse]):
    """Makes pictures."""

    response = images_pb2.GenerateImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        route = route_of(errand)
        if not route.makes:
            raise dialect.unsupported("model", "this model changes pictures, and makes none")
        return self.form(errand, route, {})


class StabilityImageEdits(_Images[images_pb2.EditImagesResponse]):
    """Changes pictures; the model says how."""

    response = images_pb2.EditImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        route = route_of(errand)
        if (errand.input.edit or PROMPT) != route.edit:
            raise dialect.unsupported("edit", "this model does something else")
        if errand.input.HasField("mask") and "mask" not in route.fields:
            raise dialect.unsupported("mask", "this model takes no mask, `inpaint` does")
        return self.form(errand, route, _image_fields(errand, route), *_files(errand))


def route_of(errand: PictureErrand) -> Route:
    """Where the model is."""
    route = ROUTES.get(errand.model.removeprefix(PREFIX))
    if route is None:
        raise not_found("model", errand.model, Reason.MODEL_NOT_FOUND)
    return route


def _fields(errand: PictureErrand, route: Route) -> dict[str, object]:
    asked = errand.input
    pictures.drop_set(errand, *NOT_HERE, *sorted(FIELDS - route.fields))
    told: dict[str, object] = {
        "model": route.model,
        "prompt": asked.prompt if "prompt" in route.fields else "",
        "negative_prompt": asked.negative_prompt if "negative_prompt" in route.fields else "",
        "style_preset": asked.style if "style" in route.fields else "",
        "output_format": pictures.output_format(errand),
    }
    if "aspect_ratio" in route.fields and not asked.images:
        told["aspect_ratio"] = pictures.ratio(errand, RATIOS)
    else:
        pictures.drop_set(errand, "aspect_ratio", "size")
    if asked.HasField("seed") and "seed" in route.fields:
        told["seed"] = asked.seed % (SEED_MAX + 1)
    return {name: value for name, value in told.items() if value != ""}


def _image_fields(errand: PictureErrand, route: Route) -> dict[str, object]:
    """Where a model also makes pictures from nothing, it is told to begin with one, and how much of it may go."""
    if "strength" not in route.fields:
        return {}
    asked = errand.input
    mode: dict[str, object] = {"mode": "image-to-image"} if route.model else {}
    return {**mode, "strength": asked.strength if asked.HasField("strength") else STRENGTH}


def _files(errand: PictureErrand) -> Iterator[File]:
    yield _file("image", pictures.only_image(errand))
    if errand.input.HasField("mask"):
        yield _file("mask", errand.input.mask)


def _file(name: str, blob: content_pb2.Blob) -> File:
    if blob.WhichOneof("source") != "data":
        raise dialect.unsupported("images", "this provider takes the bytes of a picture only")
    kind = pictures.media_type(blob)
    return name, f"{name}.{kind.rpartition('/')[2]}", kind, blob.data


def _read(headers: Mapping[str, str], body: bytes) -> tuple[images_pb2.GeneratedImage, str, int | None]:
    """The picture, what became of it, and its seed."""
    content_type = dialect.media_type(headers.get("content-type", ""))
    if content_type.startswith("image/"):
        seed = headers.get("seed", "")
        known = int(seed) if seed.isascii() and seed.isdigit() and len(seed) < 19 else None
        return pictures.picture(body, content_type), headers.get("finish-reason", ""), known
    if content_type != "application/json":
        raise UpstreamFailure(FailureKind.BROKEN)
    told = dialect.parse(_TOLD, body)
    return pictures.picture(pictures.decode(told.image)), told.finish_reason, pictures.told_seed(told.seed)
