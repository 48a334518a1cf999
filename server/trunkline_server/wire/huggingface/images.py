"""Pictures by Hugging Face's own servers: words go out, the bytes of one picture come back."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline.v1 import images_pb2
from trunkline_server.core.errors import Reason, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.pictures import PictureCraft, PictureErrand

MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?")
UNKNOWN: Final = ("aspect_ratio", "quality", "style", "background", "as_uri", "media_type")


class HuggingFaceImages(PictureCraft[images_pb2.GenerateImagesResponse]):
    """Makes pictures."""

    response = images_pb2.GenerateImagesResponse

    def encode(self, errand: PictureErrand) -> HttpRequest:
        if not MODEL.fullmatch(errand.model):
            raise not_found("model", errand.model, Reason.MODEL_NOT_FOUND)
        body: dict[str, object] = {"inputs": errand.input.prompt, "parameters": _parameters(errand)}
        spelled = dialect.spell(dialect.merge(body, errand.options))
        headers = {"content-type": "application/json", "accept": "image/png"}
        return HttpRequest("POST", f"/hf-inference/models/{errand.model}", headers, spelled)

    def decode(
        self, errand: PictureErrand, headers: Mapping[str, str], body: bytes
    ) -> Product[images_pb2.GenerateImagesResponse]:
        kind = dialect.media_type(headers.get("content-type", ""))
        if not kind.startswith("image/"):
            raise UpstreamFailure(FailureKind.BROKEN)
        return self.product([pictures.picture(body, kind)])


def _parameters(errand: PictureErrand) -> dict[str, object]:
    asked = errand.input
    pictures.drop_set(errand, *UNKNOWN)
    parameters: dict[str, object] = {"negative_prompt": asked.negative_prompt} if asked.negative_prompt else {}
    if size := pictures.dimensions(asked.size):
        parameters |= {"width": size[0], "height": size[1]}
    if asked.HasField("seed"):
        parameters["seed"] = asked.seed
    return parameters
