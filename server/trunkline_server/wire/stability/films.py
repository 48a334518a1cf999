"""Stability's films: a picture that is set in motion; the answer is a 202 until the bytes are there."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import video_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, films, pictures
from trunkline_server.wire.craft import LongCraft, Pending
from trunkline_server.wire.films import FilmErrand
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import multipart
from trunkline_server.wire.stability.images import FILTERED, SEED_MAX

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")


class Job(Struct):
    """The answer to a submission."""

    id: str = ""


_JOB: Final = msgspec.json.Decoder(Job)


@dataclass(frozen=True)
class StabilityVideos(LongCraft[video_pb2.VideoInput, video_pb2.VideoResult]):
    """The craft; all films have one length."""

    path: str = "/v2beta/image-to-video"
    length_ms: int = 4_000
    poll_s: float = 10.0

    def submit(self, errand: FilmErrand) -> HttpRequest:
        asked = errand.input
        if asked.image.WhichOneof("source") != "data":
            raise invalid("input.image", "this provider makes films from the bytes of a picture only")
        films.drop_further(errand)
        unknown = ("prompt", "negative_prompt", "last_image", "duration", "aspect_ratio", "resolution", "with_audio")
        films.drop_set(errand, *unknown)
        seed: dict[str, object] = {"seed": asked.seed % (SEED_MAX + 1)} if asked.HasField("seed") else {}
        fields = ((name, dialect.form_text(value)) for name, value in {**seed, **errand.options}.items())
        kind = pictures.media_type(asked.image)
        file = ("image", f"image.{kind.rpartition('/')[2]}", kind, asked.image.data)
        content_type, body = multipart(fields, [file])
        return HttpRequest("POST", self.path, {"content-type": content_type, "accept": "application/json"}, body)

    def submitted(self, errand: FilmErrand, headers: Mapping[str, str], body: bytes) -> str:
        job = dialect.parse(_JOB, body)
        if not ID.fullmatch(job.id):
            raise UpstreamFailure(FailureKind.BROKEN)
        return films.keep(job.id, self.length_ms)

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{self.path}/result/{films.kept(operation).place}", {"accept": "video/*"})

    def polled(
        self, errand: FilmErrand, operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Pending | Product[video_pb2.VideoResult]:
        if status == 202:
            return Pending()
        product = films.product([films.film_of(body, headers.get("content-type", ""))])
        product.filtered = headers.get("finish-reason") == FILTERED
        return product
