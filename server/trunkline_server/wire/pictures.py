"""What crafts that make pictures share in all dialects: bytes as text, sizes and ratios, one request for each few."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import binascii
import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

from trunkline.v1 import content_pb2, images_pb2, usage_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.media import sniff
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.craft import Craft

PictureErrand: TypeAlias = Errand[images_pb2.ImageInput]
ImagesT = TypeVar("ImagesT", images_pb2.GenerateImagesResponse, images_pb2.EditImagesResponse)

SEED_MAX: Final = 2**63 - 1
FORMATS: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}

_URL_SAFE: Final = str.maketrans("-_", "+/")


class PictureCraft(Craft[images_pb2.ImageInput, ImagesT]):
    """A craft of pictures: never done twice, and done in several requests where the provider makes fewer at once."""

    is_idempotent = False
    response: type[ImagesT]

    def at_once(self, model: str) -> int:
        """How many pictures one request may ask for."""
        return 1

    def split(self, errand: PictureErrand) -> Sequence[PictureErrand]:
        wanted, most = count(errand), self.at_once(errand.model)
        if wanted <= most:
            return (errand,)
        return [_piece(errand, first, min(most, wanted - first)) for first in range(0, wanted, most)]

    def join(self, errand: PictureErrand, products: Sequence[Product[ImagesT]]) -> Product[ImagesT]:
        first, *others = products
        for each in others:
            first.body.images.extend(each.body.images)
            first.filtered |= each.filtered
        return first

    def product(
        self, images: Iterable[images_pb2.GeneratedImage], usage: usage_pb2.Usage | None = None
    ) -> Product[ImagesT]:
        return product(self.response, images, usage)


def product(
    response: type[ImagesT], images: Iterable[images_pb2.GeneratedImage], usage: usage_pb2.Usage | None = None
) -> Product[ImagesT]:
    """The pictures as the service answers with them. An answer without any is none."""
    body = response(images=images)
    if not body.images:
        raise UpstreamFailure(FailureKind.BROKEN)
    return Product(body, usage, filtered=any(image.filtered for image in body.images))


def count(errand: PictureErrand) -> int:
    """How many pictures are wanted."""
    return errand.input.image_count or 1


def counted(images: int) -> usage_pb2.Usage:
    """The usage where pictures are what is billed, and their number is all that is told."""
    return usage_pb2.Usage(unit_counts={"images": images}, source=usage_pb2.USAGE_SOURCE_PROVIDER)


def withheld() -> images_pb2.GeneratedImage:
    """A picture that the provider did not hand out."""
    return images_pb2.GeneratedImage(filtered=True)


def picture(data: bytes, declared: str = "") -> images_pb2.GeneratedImage:
    """A picture by its bytes; what they begin like counts more than what they are said to be."""
    if not data:
        raise UpstreamFailure(FailureKind.BROKEN)
    blob = content_pb2.Blob(data=data, media_type=sniff(data) or declared or "image/png")
    return images_pb2.GeneratedImage(blob=blob)


def picture_at(address: str, declared: str = "") -> images_pb2.GeneratedImage:
    """A picture by its address, which may hold the bytes themselves."""
    if address.startswith("data:"):
        return picture(decode(address), address[5:].partition(";")[0])
    if not address:
        raise UpstreamFailure(FailureKind.BROKEN)
    return images_pb2.GeneratedImage(blob=content_pb2.Blob(uri=address, media_type=declared))


def told_seed(seed: object) -> int | None:
    """A seed as a provider tells it, where it is one that can be given back."""
    return seed if isinstance(seed, int) and 0 <= seed <= SEED_MAX else None


def decode(text: str) -> bytes:
    """The bytes in base64 of either alphabet, alone or in a data address."""
    plain = text.rpartition(",")[2] if text.startswith("data:") else text
    try:
        return binascii.a2b_base64(plain.translate(_URL_SAFE) if "_" in plain or "-" in plain else plain)
    except ValueError:  # binascii's own error is one
        raise UpstreamFailure(FailureKind.BROKEN) from None


def encode(blob: content_pb2.Blob) -> str:
    """Bytes as text."""
    return b64encode(blob.data).decode()


def media_type(blob: content_pb2.Blob) -> str:
    """What a picture of the caller's is."""
    return blob.media_type or sniff(blob.data) or "image/png"


def address(blob: content_pb2.Blob, path: str) -> str:
    """A picture of the caller's as an address; its bytes make one of their own."""
    match blob.WhichOneof("source"):
        case "uri":
            return blob.uri
        case "data":
            return f"data:{media_type(blob)};base64,{encode(blob)}"
        case _:
            raise dialect.unsupported(path, "this provider has no files")


def first_image(errand: PictureErrand) -> content_pb2.Blob:
    """The picture that is changed."""
    if not errand.input.images:
        raise invalid("input.images", "there must be a picture to change")
    return errand.input.images[0]


def only_image(errand: PictureErrand) -> content_pb2.Blob:
    """The same, where the provider takes no others."""
    first = first_image(errand)
    if len(errand.input.images) > 1:
        errand.drop("images", "this provider takes one picture; the first was taken")
    return first


def drop_set(errand: PictureErrand, *fields: str) -> None:
    """Says of every field that is set that the provider does not take it."""
    known = {field.name for field, _ in errand.input.ListFields()}
    for field in fields:
        if field in known:
            errand.drop(field, "this provider does not take it")


def output_format(errand: PictureErrand) -> str:
    """The provider's word for the kind of file that is wanted; empty for its default, and where it has none."""
    wanted = errand.input.media_type
    if wanted and wanted not in FORMATS:
        errand.drop("media_type", "this provider makes PNG, JPEG and WebP")
    return FORMATS.get(wanted, "")


def dimensions(size: str) -> tuple[int, int] | None:
    """Width and height; None for `auto` and nothing."""
    width, cross, height = size.partition("x")
    return (int(width), int(height)) if cross else None


def wanted_ratio(errand: PictureErrand) -> tuple[int, int] | None:
    """Width to height as it is wanted, by size or as a ratio."""
    wide, colon, high = errand.input.aspect_ratio.partition(":")
    return (int(wide), int(high)) if colon else dimensions(errand.input.size)


def ratio(errand: PictureErrand, known: Sequence[str]) -> str:
    """The nearest of the ratios that the provider knows; empty where none is wanted."""
    wanted = wanted_ratio(errand)
    if wanted is None:
        return ""
    best = min(known, key=lambda each: _distance(wanted, _numbers(each, ":")))
    if _distance(wanted, _numbers(best, ":")) > 0:
        errand.adjust("aspect_ratio" if errand.input.aspect_ratio else "size", f"the nearest ratio is {best}")
    return best


def size_of_ratio(errand: PictureErrand, known: Sequence[str]) -> str:
    """The size that is wanted; for a ratio the nearest of the sizes that the provider knows."""
    if errand.input.size or not errand.input.aspect_ratio:
        return errand.input.size
    wanted = _numbers(errand.input.aspect_ratio, ":")
    best = min(known, key=lambda each: _distance(wanted, _numbers(each, "x")))
    if _distance(wanted, _numbers(best, "x")) > 0:
        errand.adjust("aspect_ratio", f"the nearest size is {best}")
    return best


def _numbers(text: str, between: str) -> tuple[int, int]:
    left, _, right = text.partition(between)
    return int(left), int(right)


def _distance(one: tuple[int, int], other: tuple[int, int]) -> float:
    """How unlike two ratios are; exactly 0 where they are the same."""
    if one[0] * other[1] == one[1] * other[0]:
        return 0.0
    return abs(math.log(one[0] * other[1] / (one[1] * other[0])))


def _piece(errand: PictureErrand, first: int, images: int) -> PictureErrand:
    """A part of the pictures. With a seed each must get another one, or all would be the same."""
    piece = images_pb2.ImageInput()
    piece.CopyFrom(errand.input)
    piece.image_count = images
    if piece.HasField("seed"):
        piece.seed = (piece.seed + first) % SEED_MAX
    return replace(errand, input=piece)
