"""Veo: a long-running operation, whose answer names a file that is fetched with the key."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw, Struct

from trunkline.v1 import content_pb2, video_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect, films, pictures
from trunkline_server.wire.craft import LongCraft, Pending
from trunkline_server.wire.films import FilmErrand
from trunkline_server.wire.gemini import shapes
from trunkline_server.wire.gemini.failures import of_error_object
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.http import HttpRequest, path_of

VERSION: Final = "/v1beta"
NAME: Final = re.compile(r"(?:[A-Za-z]+/[A-Za-z0-9._-]{1,200}/)?operations/[A-Za-z0-9._-]{1,200}")
SEED_MAX: Final = 2**32 - 1


class File(Struct, rename="camel"):
    """A film: where it is, or itself."""

    uri: str | None = None
    encoded_video: str | None = None


class Sample(Struct):
    """One film."""

    video: File | None = None


class Made(Struct, rename="camel"):
    """The films, or how many were withheld."""

    generated_samples: list[Sample] | None = None
    rai_media_filtered_count: float | None = None


class Response(Struct, rename="camel"):
    """What came of it."""

    generate_video_response: Made | None = None


class Progress(Struct):
    """An operation; it says that it is done, or nothing."""

    name: str = ""
    done: bool | None = None
    error: Raw = shapes.NOTHING
    response: Response | None = None


_PROGRESS: Final = msgspec.json.Decoder(Progress)


@dataclass(frozen=True)
class GeminiVideos(LongCraft[video_pb2.VideoInput, video_pb2.VideoResult]):
    """The craft; `lengths_s` are those that can be had, `length_s` the one that is made unasked."""

    lengths_s: Sequence[int] = (4, 5, 6, 8)
    length_s: int = 8
    poll_s: float = 10.0

    def submit(self, errand: FilmErrand) -> HttpRequest:
        body = {"instances": [_instance(errand)], "parameters": self._parameters(errand)}
        spelled = dialect.spell(dialect.merge({**body}, errand.options))
        path = f"{VERSION}/{qualified(errand.model)}:predictLongRunning"
        return HttpRequest("POST", path, dialect.JSON_HEADERS, spelled)

    def submitted(self, errand: FilmErrand, headers: Mapping[str, str], body: bytes) -> str:
        name = dialect.parse(_PROGRESS, body).name
        if not NAME.fullmatch(name):
            raise UpstreamFailure(FailureKind.BROKEN)
        return films.keep(name, (films.nearest_s(errand, self.lengths_s) or self.length_s) * 1000)

    def poll(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{VERSION}/{films.kept(operation).place}", {"accept": "application/json"})

    def polled(
        self, errand: FilmErrand, operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Pending:
        progress = dialect.parse(_PROGRESS, body)
        if shapes.is_told(progress.error):
            raise of_error_object(progress.error)
        if not progress.done:
            return Pending()
        _file(progress)
        return Pending(99, fetchable=True)

    def fetch(self, operation: str, body: bytes) -> HttpRequest:
        return _download(_file(dialect.parse(_PROGRESS, body)))

    def onward(self, operation: str, location: str) -> HttpRequest:
        return _download(location)

    def fetched(
        self, errand: FilmErrand, operation: str, headers: Mapping[str, str], body: bytes
    ) -> Product[video_pb2.VideoResult]:
        length_ms = films.kept(operation).duration_ms
        return films.product([films.film_of(body, headers.get("content-type", ""), length_ms)], length_ms)

    def _parameters(self, errand: FilmErrand) -> dict[str, object]:
        asked = errand.input
        films.drop_further(errand)
        films.drop_set(errand, "with_audio")
        parameters: dict[str, object] = {
            "aspectRatio": asked.aspect_ratio,
            "resolution": asked.resolution,
            "negativePrompt": asked.negative_prompt,
            "durationSeconds": films.nearest_s(errand, self.lengths_s),
            "seed": asked.seed % (SEED_MAX + 1) if asked.HasField("seed") else "",
        }
        return {name: value for name, value in parameters.items() if value not in ("", None)}


def _instance(errand: FilmErrand) -> dict[str, object]:
    asked = errand.input
    instance: dict[str, object] = {"prompt": asked.prompt} if asked.prompt else {}
    if asked.HasField("image"):
        instance["image"] = _image(asked.image, "image")
    if asked.HasField("last_image"):
        instance["lastFrame"] = _image(asked.last_image, "last_image")
    return instance


def _image(blob: content_pb2.Blob, path: str) -> dict[str, object]:
    if blob.WhichOneof("source") != "data":
        raise dialect.unsupported(path, "this provider takes the bytes of a picture only")
    return {"bytesBase64Encoded": pictures.encode(blob), "mimeType": pictures.media_type(blob)}


def _file(progress: Progress) -> str:
    """The address of the first film."""
    made = (progress.response or Response()).generate_video_response or Made()
    address = next((sample.video.uri for sample in made.generated_samples or () if sample.video), None)
    if address:
        return address
    raise UpstreamFailure(FailureKind.FILTERED if made.rai_media_filtered_count else FailureKind.BROKEN, 200)


def _download(address: str) -> HttpRequest:
    """Files lie below the version, or below the place for downloads."""
    start = "/download/" if "/download/" in address else f"{VERSION}/"
    return HttpRequest("GET", path_of(address, start), {"accept": "*/*"})
