"""OpenAI's images API, as OpenAI, Azure, xAI and servers of one's own speak it: pictures made, and pictures changed."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.v1 import images_pb2
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_images import decode, encode
from trunkline_server.wire.openai_images.quirks import OPENAI_MODELS, Model
from trunkline_server.wire.pictures import ImagesT, PictureCraft, PictureErrand


@dataclass(frozen=True)
class _Images(PictureCraft[ImagesT]):
    """What both share: `models` are tried in order, the last fits all."""

    models: Sequence[Model] = OPENAI_MODELS

    def at_once(self, model: str) -> int:
        return self.kind(model).at_once

    def kind(self, model: str) -> Model:
        return next(each for each in self.models if each.pattern.search(model))

    def decode(self, errand: PictureErrand, headers: Mapping[str, str], body: bytes) -> Product[ImagesT]:
        answer = decode.read(body)
        return self.product(decode.images_of(answer), decode.usage_of(answer.usage))


@dataclass(frozen=True)
class OpenAIImages(_Images[images_pb2.GenerateImagesResponse]):
    """Makes pictures."""

    path: str = "/images/generations"
    response = images_pb2.GenerateImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        body = encode.fields_of(errand, self.kind(errand.model))
        return encode.json_request(self.path, dialect.merge(body, errand.options))


@dataclass(frozen=True)
class OpenAIImageEdits(_Images[images_pb2.EditImagesResponse]):
    """Changes pictures. By bytes they go as a form, else as JSON; `only_json`: always as JSON."""

    path: str = "/images/edits"
    variations_path: str = "/images/variations"
    only_json: bool = False
    response = images_pb2.EditImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        pictures.first_image(errand)
        model, path = self.kind(errand.model), self._path(errand)
        if len(errand.input.images) > model.inputs_max:
            raise dialect.unsupported("images", f"this model takes {model.inputs_max}")
        body = encode.fields_of(errand, model)
        if path == self.variations_path:
            body.pop("prompt", None)
        if encode.is_all_bytes(errand) and not self.only_json:
            return encode.form(path, errand, body)
        return encode.json_request(path, dialect.merge(body | self.pictures_of(errand), errand.options))

    def pictures_of(self, errand: PictureErrand) -> dict[str, object]:
        """The caller's pictures, where they go in JSON."""
        told: dict[str, object] = {"images": [encode.reference(blob, "images") for blob in errand.input.images]}
        if errand.input.HasField("mask"):
            told["mask"] = encode.reference(errand.input.mask, "mask")
        return told

    def _path(self, errand: PictureErrand) -> str:
        match errand.input.edit:
            case images_pb2.IMAGE_EDIT_UPSCALE:
                raise dialect.unsupported("edit", "this provider makes no picture larger")
            case images_pb2.IMAGE_EDIT_VARIATION:
                if not self.kind(errand.model).varies or not (self.only_json or encode.is_all_bytes(errand)):
                    raise dialect.unsupported("edit", "this model makes no variations")
                return self.variations_path
            case _:
                return self.path


@dataclass(frozen=True)
class XAIImageEdits(OpenAIImageEdits):
    """xAI names one picture and several differently, and knows no masks."""

    only_json: bool = True

    def pictures_of(self, errand: PictureErrand) -> dict[str, object]:
        pictures.drop_set(errand, "mask")
        told = [{"url": pictures.address(blob, "images"), "type": "image_url"} for blob in errand.input.images]
        return {"image": told[0]} if len(told) == 1 else {"images": told}
