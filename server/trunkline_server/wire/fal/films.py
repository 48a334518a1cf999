"""Films by FAL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import video_pb2
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, films, pictures
from trunkline_server.wire.fal.queue import Kept, QueueCraft
from trunkline_server.wire.films import FilmErrand


class File(Struct):
    """Where a film is."""

    url: str


class Result(Struct):
    """What a model has made: one film, or several."""

    video: File | None = None
    videos: list[File] | None = None


_RESULT: Final = msgspec.json.Decoder(Result)


@dataclass(frozen=True)
class FalVideos(QueueCraft[video_pb2.VideoInput, video_pb2.VideoResult]):
    """The craft. Models say lengths as a number in a text; those of `with_unit` with an `s` behind it."""

    with_unit: Sequence[str] = ("fal-ai/veo",)
    poll_s: float = 5.0

    def body(self, errand: FilmErrand) -> dict[str, object]:
        asked = errand.input
        films.drop_further(errand)
        told: dict[str, object] = {
            "prompt": asked.prompt,
            "negative_prompt": asked.negative_prompt,
            "image_url": pictures.address(asked.image, "image") if asked.HasField("image") else "",
            "tail_image_url": pictures.address(asked.last_image, "last_image") if asked.HasField("last_image") else "",
            "duration": self._duration(errand),
            "aspect_ratio": asked.aspect_ratio,
            "resolution": asked.resolution,
        }
        told = {name: value for name, value in told.items() if value != ""}
        if asked.HasField("seed"):
            told["seed"] = asked.seed
        return {**told, "generate_audio": asked.with_audio} if asked.HasField("with_audio") else told

    def made(self, errand: FilmErrand, operation: Kept, body: bytes) -> Product[video_pb2.VideoResult]:  # noqa: ARG002
        result = dialect.parse(_RESULT, body)
        files = [*([result.video] if result.video else ()), *(result.videos or ())]
        return films.product([films.film_at(each.url, operation.duration_ms) for each in files], operation.duration_ms)

    def duration_ms(self, errand: FilmErrand) -> int:
        return films.duration_ms(films.wanted_s(errand))

    def _duration(self, errand: FilmErrand) -> str:
        wanted_s = films.wanted_s(errand)
        if wanted_s is None:
            return ""
        return f"{wanted_s:g}s" if errand.model.startswith(tuple(self.with_unit)) else f"{wanted_s:g}"
