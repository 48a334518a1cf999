"""OpenAI's videos API: a film is asked for, asked after by its id, and fetched when it is there."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw, Struct

from trunkline.v1 import usage_pb2, video_pb2
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, films, pictures
from trunkline_server.wire.craft import LongCraft, Pending
from trunkline_server.wire.films import FilmErrand
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import multipart
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_images import encode

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,1024}")
SIZES: Final[Mapping[tuple[str, str], str]] = {
    ("16:9", "720p"): "1280x720",
    ("9:16", "720p"): "720x1280",
    ("16:9", "1080p"): "1792x1024",
    ("9:16", "1080p"): "1024x1792",
}
SIZE: Final = re.compile(r"\d{2,5}x\d{2,5}")
ACCEPT_JSON: Final = {"accept": "application/json"}


class Job(Struct):
    """How a film is coming along."""

    id: str = ""
    status: str = ""
    progress: float | None = None
    seconds: str | float | None = None
    error: Raw = Raw(b"null")


_JOB: Final = msgspec.json.Decoder(Job)


@dataclass(frozen=True)
class OpenAIVideos(LongCraft[video_pb2.VideoInput, video_pb2.VideoResult]):
    """The craft. A picture by its bytes goes as a form, all else as JSON; `only_json`: that too.
    `lengths_s` are those that can be had, `length_s` the one that is made unasked."""

    path: str = "/videos"
    only_json: bool = False
    lengths_s: Sequence[int] = (4, 8, 12)
    length_s: int = 4
    poll_s: float = 10.0

    def submit(self, errand: FilmErrand) -> HttpRequest:
        body, image = self._body(errand), errand.input.image
        if self.only_json or image.WhichOneof("source") != "data":
            if errand.input.HasField("image"):
                body["input_reference"] = encode.reference(image, "image")
            spelled = dialect.spell(dialect.merge(body, errand.options))
            return HttpRequest("POST", self.path, dialect.JSON_HEADERS, spelled)
        told = {**body, **errand.options}
        fields = ((name, dialect.form_text(value)) for name, value in told.items())
        content_type, spelled = multipart(fields, [_file(errand)])
        return HttpRequest("POST", self.path, {**ACCEPT_JSON, "content-type": content_type}, spelled)

    def submitted(self, errand: FilmErrand, headers: Mapping[str, str], body: bytes) -> str:
        job = dialect.parse(_JOB, body)
        if not ID.fullmatch(job.id):
            raise UpstreamFailure(FailureKind.BROKEN)
        return films.keep(job.id, films.duration_ms(job.seconds) or self.length_s * 1000)

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{self.path}/{films.kept(operation).place}", ACCEPT_JSON)

    def polled(
        self,
        errand: FilmErrand,
        operation: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Pending:
        job = dialect.parse(_JOB, body)
        match job.status:
            case "completed":
                return Pending(99, fetchable=True)
            case "queued" | "in_progress":
                return Pending(max(0, min(99, dialect.count(job.progress))))
            case "failed":
                raise _failure(job.error)
            case _:
                raise UpstreamFailure(FailureKind.BROKEN)

    def fetch(self, operation: str, body: bytes) -> HttpRequest:
        return HttpRequest("GET", f"{self.path}/{films.kept(operation).place}/content", {"accept": "video/*"})

    def fetched(
        self,
        errand: FilmErrand,
        operation: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Product[video_pb2.VideoResult]:
        length_ms = films.kept(operation).duration_ms
        made = films.film_of(body, headers.get("content-type", ""), length_ms)
        return films.product([made], length_ms, usage_pb2.USAGE_SOURCE_PROVIDER)

    def _body(self, errand: FilmErrand) -> dict[str, object]:
        films.drop_further(errand)
        films.drop_set(errand, "negative_prompt", "last_image", "seed", "with_audio")
        seconds, size = films.nearest_s(errand, self.lengths_s), _size(errand)
        body = {"model": errand.model, "prompt": errand.input.prompt, "size": size}
        body["seconds"] = str(seconds) if seconds else ""
        return {name: value for name, value in body.items() if value}


def _size(errand: FilmErrand) -> str:
    """Width and height, from a ratio and a word for the height; what has no such size is refused by name."""
    ratio, resolution = errand.input.aspect_ratio, errand.input.resolution
    if SIZE.fullmatch(resolution):
        return resolution
    if not ratio and not resolution:
        return ""
    known = SIZES.get((ratio or "16:9", resolution or "720p"))
    if known is None:
        raise invalid("input.resolution", "no such size here", Reason.PARAMETER_UNSUPPORTED)
    return known


def _file(errand: FilmErrand) -> tuple[str, str, str, bytes]:
    image = errand.input.image
    kind = pictures.media_type(image)
    return "input_reference", f"image.{kind.rpartition('/')[2]}", kind, image.data


def _failure(error: Raw) -> UpstreamFailure:
    """Why nothing came of it; without a word for it the provider is to blame."""
    failure = failures.of_event(b'{"error":%b}' % bytes(error))
    kind = FailureKind.TRANSIENT if failure.kind is FailureKind.BROKEN else failure.kind
    return UpstreamFailure(kind, failure.http_status, failure.code)
