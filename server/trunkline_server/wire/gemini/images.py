"""Gemini's pictures: models that draw as they talk, and Imagen, which only draws."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import images_pb2, usage_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.gemini import shapes
from trunkline_server.wire.gemini.blobs import encode_blob
from trunkline_server.wire.gemini.chunks import UNBLOCKED
from trunkline_server.wire.gemini.failures import of_error_object
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.gemini.usage import of_kind, read_usage
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.pictures import ImagesT, PictureCraft, PictureErrand

VERSION: Final = "/v1beta"
FILES_URL: Final = "https://generativelanguage.googleapis.com/v1beta/files/"
RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
IMAGEN_RATIOS: Final = ("1:1", "3:4", "4:3", "9:16", "16:9")
SEED_MAX: Final = 2**31 - 1


class Drawn(Struct, rename="camel"):
    """An answer that holds pictures."""

    candidates: list[shapes.Candidate] | None = None
    usage_metadata: shapes.UsageMetadata | None = None
    prompt_feedback: shapes.PromptFeedback | None = None
    response_id: str | None = None
    model_version: str | None = None
    error: msgspec.Raw = shapes.NOTHING


class Prediction(Struct, rename="camel"):
    """A picture of Imagen's, or why there is none."""

    bytes_base64_encoded: str | None = None
    mime_type: str | None = None
    rai_filtered_reason: str | None = None


class Predicted(Struct):
    """Imagen's answer; without a single picture it is empty."""

    predictions: list[Prediction] | None = None


_DRAWN: Final = msgspec.json.Decoder(Drawn)
_PREDICTED: Final = msgspec.json.Decoder(Predicted)


@dataclass(frozen=True)
class _Drawing(PictureCraft[ImagesT]):
    """What drawing by words and by pictures share. One picture a request; `sizes_at`: names of models that take a size,
    in steps of so many pixels."""

    modalities: Sequence[str] = ("IMAGE",)
    sizes_at: str = "gemini-3"
    imagen: str = "imagen"
    imagen_at_once: int = 4

    def draw(self, errand: PictureErrand, images: Sequence[dict[str, object]] = ()) -> HttpRequest:
        pictures.drop_set(
            errand, "negative_prompt", "quality", "style", "background", "media_type", "as_uri", "mask", "strength"
        )
        parts = [*([{"text": errand.input.prompt}] if errand.input.prompt else []), *images]
        contents = [{"role": "user", "parts": parts}]
        body = {"contents": contents, "generationConfig": self._config(errand)}
        return _request(errand, "generateContent", body)

    def drawn(self, body: bytes) -> Product[ImagesT]:
        told = dialect.parse(_DRAWN, body)
        if shapes.is_told(told.error):
            raise of_error_object(told.error)
        if told.prompt_feedback is not None and told.prompt_feedback.block_reason not in UNBLOCKED:
            raise UpstreamFailure(FailureKind.FILTERED, 200, told.prompt_feedback.block_reason or "")
        if not told.candidates:
            raise UpstreamFailure(FailureKind.BROKEN)
        product = self.product(list(_images(told)) or [pictures.withheld()], _usage(told.usage_metadata))
        product.response_id, product.model = told.response_id or "", told.model_version or ""
        return product

    def _config(self, errand: PictureErrand) -> dict[str, object]:
        config: dict[str, object] = {"responseModalities": list(self.modalities)}
        shape = {"aspectRatio": pictures.ratio(errand, RATIOS), "imageSize": self._size(errand)}
        if told := {name: value for name, value in shape.items() if value}:
            config["imageConfig"] = told
        if errand.input.HasField("seed"):
            config["seed"] = errand.input.seed % (SEED_MAX + 1)
        return config

    def _size(self, errand: PictureErrand) -> str:
        """How large, in thousands of pixels, where the model has more than one size."""
        wanted = pictures.dimensions(errand.input.size)
        if wanted is None or not errand.model.removeprefix("models/").startswith(self.sizes_at):
            return ""
        return next((name for name, most in (("1K", 1536), ("2K", 3072)) if max(wanted) < most), "4K")


@dataclass(frozen=True)
class GeminiImages(_Drawing[images_pb2.GenerateImagesResponse]):
    """Makes pictures."""

    response = images_pb2.GenerateImagesResponse

    def at_once(self, model: str) -> int:
        return self.imagen_at_once if self._is_imagen(model) else 1

    def encode(self, errand: PictureErrand) -> HttpRequest:
        if not self._is_imagen(errand.model):
            return self.draw(errand)
        body = {"instances": [{"prompt": errand.input.prompt}], "parameters": _parameters(errand)}
        return _request(errand, "predict", body)

    def decode(
        self, errand: PictureErrand, headers: Mapping[str, str], body: bytes
    ) -> Product[images_pb2.GenerateImagesResponse]:
        return self._predicted(errand, body) if self._is_imagen(errand.model) else self.drawn(body)

    def _is_imagen(self, model: str) -> bool:
        return model.removeprefix("models/").startswith(self.imagen)

    def _predicted(self, errand: PictureErrand, body: bytes) -> Product[images_pb2.GenerateImagesResponse]:
        """What was withheld is not billed, and may not even be named."""
        told = dialect.parse(_PREDICTED, body).predictions or ()
        images = [_predicted(each) for each in told]
        made = sum(not image.filtered for image in images)
        if not made:
            raise UpstreamFailure(FailureKind.FILTERED, 200)
        withheld = [pictures.withheld() for _ in range(pictures.count(errand) - len(images))]
        return self.product([*images, *withheld], pictures.counted(made))


@dataclass(frozen=True)
class GeminiImageEdits(_Drawing[images_pb2.EditImagesResponse]):
    """Changes pictures, by words."""

    files_url: str = FILES_URL
    response = images_pb2.EditImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        if errand.input.edit in (images_pb2.IMAGE_EDIT_VARIATION, images_pb2.IMAGE_EDIT_UPSCALE):
            raise dialect.unsupported("edit", "this provider changes pictures by words only")
        if errand.model.removeprefix("models/").startswith(self.imagen):
            raise dialect.unsupported("model", "this model changes no pictures")
        pictures.first_image(errand)
        return self.draw(errand, [encode_blob(blob, "images", self.files_url) for blob in errand.input.images])

    def decode(
        self, errand: PictureErrand, headers: Mapping[str, str], body: bytes
    ) -> Product[images_pb2.EditImagesResponse]:
        return self.drawn(body)


def _request(errand: PictureErrand, method: str, body: Mapping[str, object]) -> HttpRequest:
    spelled = dialect.spell(dialect.merge({**body}, errand.options))
    return HttpRequest("POST", f"{VERSION}/{qualified(errand.model)}:{method}", dialect.JSON_HEADERS, spelled)


def _parameters(errand: PictureErrand) -> dict[str, object]:
    pictures.drop_set(errand, "negative_prompt", "quality", "style", "background", "as_uri", "seed")
    parameters: dict[str, object] = {"sampleCount": pictures.count(errand)}
    if ratio := pictures.ratio(errand, IMAGEN_RATIOS):
        parameters["aspectRatio"] = ratio
    if pictures.output_format(errand):
        parameters["outputOptions"] = {"mimeType": errand.input.media_type}
    return parameters


def _images(told: Drawn) -> Iterator[images_pb2.GeneratedImage]:
    """What is drawn on the way is a thought."""
    for candidate in told.candidates or ():
        for part in (candidate.content.parts if candidate.content else None) or ():
            if part.inline_data is not None and not part.thought:
                yield pictures.picture(pictures.decode(part.inline_data.data), part.inline_data.mime_type or "")


def _predicted(told: Prediction) -> images_pb2.GeneratedImage:
    if not told.bytes_base64_encoded:
        return pictures.withheld()
    return pictures.picture(pictures.decode(told.bytes_base64_encoded), told.mime_type or "")


def _usage(told: shapes.UsageMetadata | None) -> usage_pb2.Usage | None:
    """Pictures are the dearest tokens; where the kinds are not told, all that is no thought was one."""
    if told is None:
        return None
    usage = read_usage(told, 0)
    before, after = of_kind(told.prompt_tokens_details, "IMAGE"), of_kind(told.candidates_tokens_details, "IMAGE")
    if told.candidates_tokens_details is None:
        after = dialect.count(told.candidates_token_count)
    usage.unit_counts.update({unit: n for unit, n in (("input_image", before), ("output_image", after)) if n})
    return usage
