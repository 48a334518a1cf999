"""xAI's videos: a request has an id, and its answer is a 202 until the film is there, at an address."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw, Struct

from trunkline.v1 import usage_pb2, video_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, films, pictures
from trunkline_server.wire.craft import LongCraft, Pending
from trunkline_server.wire.films import FilmErrand
from trunkline_server.wire.http import HttpRequest

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
LENGTHS_S: Final = range(1, 16)


class Video(Struct):
    """Where it is."""

    url: str | None = None
    duration: float | None = None
    respect_moderation: bool | None = None


class Job(Struct):
    """How a film is coming along; the answer to a submission has only its id."""

    request_id: str = ""
    status: str | None = None
    progress: float | None = None
    video: Video | None = None
    model: str | None = None
    error: Raw = Raw(b"null")


_JOB: Final = msgspec.json.Decoder(Job)


@dataclass(frozen=True)
class XAIVideos(LongCraft[video_pb2.VideoInput, video_pb2.VideoResult]):
    """The craft; `length_s` is how long a film is unasked."""

    path: str = "/videos"
    length_s: int = 6
    poll_s: float = 5.0

    def submit(self, errand: FilmErrand) -> HttpRequest:
        body = dialect.spell(dialect.merge(_body(errand), errand.options))
        return HttpRequest("POST", f"{self.path}/generations", dialect.JSON_HEADERS, body)

    def submitted(self, errand: FilmErrand, headers: Mapping[str, str], body: bytes) -> str:
        job = dialect.parse(_JOB, body)
        if not ID.fullmatch(job.request_id):
            raise UpstreamFailure(FailureKind.BROKEN)
        return films.keep(job.request_id, round((_length_s(errand) or self.length_s) * 1000))

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{self.path}/{films.kept(operation).place}", {"accept": "application/json"})

    def polled(
        self,
        errand: FilmErrand,
        operation: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Pending | Product[video_pb2.VideoResult]:
        job = dialect.parse(_JOB, body)
        if job.video is not None and (job.status or "done") == "done":
            return _done(job.video, films.kept(operation).duration_ms)
        match job.status:
            case "pending":
                return Pending(max(0, min(99, dialect.count(job.progress))))
            case "failed" | "expired":
                raise UpstreamFailure(FailureKind.TRANSIENT, status)
            case _:
                raise UpstreamFailure(FailureKind.BROKEN)


def _done(video: Video, agreed_ms: int) -> Product[video_pb2.VideoResult]:
    """The length that is told counts; without one that which was agreed."""
    if video.respect_moderation is False:
        raise UpstreamFailure(FailureKind.FILTERED, 200)
    told_ms = films.duration_ms(video.duration)
    source = usage_pb2.USAGE_SOURCE_PROVIDER if told_ms else usage_pb2.USAGE_SOURCE_ESTIMATED
    length_ms = told_ms or agreed_ms
    return films.product([films.film_at(video.url or "", length_ms)], length_ms, source)


def _body(errand: FilmErrand) -> dict[str, object]:
    asked = errand.input
    films.drop_further(errand)
    films.drop_set(errand, "negative_prompt", "last_image", "seed", "with_audio")
    body: dict[str, object] = {"model": errand.model, "prompt": asked.prompt}
    if asked.HasField("image"):
        body["image"] = {"url": pictures.address(asked.image, "image")}
    body |= {"duration": _length_s(errand), "aspect_ratio": asked.aspect_ratio, "resolution": asked.resolution}
    return {name: value for name, value in body.items() if value}


def _length_s(errand: FilmErrand) -> int | None:
    return films.nearest_s(errand, LENGTHS_S)
