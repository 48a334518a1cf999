"""What crafts that make films share in all dialects: what is kept until they are fetched, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
from google.protobuf import duration_pb2

from trunkline.v1 import content_pb2, usage_pb2, video_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect

FilmErrand: TypeAlias = Errand[video_pb2.VideoInput]

MP4: Final = "video/mp4"
DURATION_MS_MAX: Final = 3_600_000


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operation. `place` is the provider's name for it; `duration_ms`: how long each film will be, 0 unknown."""

    place: str
    duration_ms: int = 0


_KEPT: Final = msgspec.json.Decoder(Kept)


def keep(place: str, duration_ms: int = 0) -> str:
    return msgspec.json.encode(Kept(place, duration_ms)).decode()


def kept(operation: str) -> Kept:
    return dialect.parse(_KEPT, operation.encode())


def wanted_s(errand: FilmErrand) -> float | None:
    """How long it is to be; None where that is left to the provider."""
    if not errand.input.HasField("duration"):
        return None
    return errand.input.duration.seconds + errand.input.duration.nanos / 1e9


def nearest_s(errand: FilmErrand, known_s: Sequence[int]) -> int | None:
    """The nearest length that the provider has."""
    wanted = wanted_s(errand)
    if wanted is None:
        return None
    best = min(known_s, key=lambda known: abs(known - wanted))
    if best != wanted:
        errand.adjust("duration", f"the nearest length is {best} s")
    return best


def duration_ms(told_s: object) -> int:
    """A length as a provider tells it, in seconds, as a number or a text; 0 where it is none."""
    try:
        seconds = float(told_s) if isinstance(told_s, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return 0
    return round(seconds * 1000) if 0 < seconds * 1000 <= DURATION_MS_MAX else 0


def drop_set(errand: FilmErrand, *fields: str) -> None:
    """Says of every field that is set that the provider does not take it."""
    known = {field.name for field, _ in errand.input.ListFields()}
    for field in fields:
        if field in known:
            errand.drop(field, "this provider does not take it")


def drop_further(errand: FilmErrand) -> None:
    """Says that there will be one film."""
    if errand.input.video_count > 1:
        errand.drop("video_count", "this provider makes one film at a time")


def film(blob: content_pb2.Blob, length_ms: int = 0) -> video_pb2.GeneratedVideo:
    """A film, and how long it is where that is known."""
    made = video_pb2.GeneratedVideo(blob=blob)
    if length_ms:
        made.duration.CopyFrom(duration_pb2.Duration(seconds=length_ms // 1000, nanos=length_ms % 1000 * 1_000_000))
    return made


def film_of(data: bytes, content_type: str, length_ms: int = 0) -> video_pb2.GeneratedVideo:
    """A film by its bytes."""
    media_type = dialect.media_type(content_type)
    if not data or media_type in ("text/html", "application/json"):
        raise UpstreamFailure(FailureKind.BROKEN)
    return film(
        content_pb2.Blob(data=data, media_type=media_type if media_type.startswith("video/") else MP4), length_ms
    )


def film_at(address: str, length_ms: int = 0) -> video_pb2.GeneratedVideo:
    """A film by its address."""
    if not address:
        raise UpstreamFailure(FailureKind.BROKEN)
    return film(content_pb2.Blob(uri=address, media_type=MP4), length_ms)


def product(
    videos: Sequence[video_pb2.GeneratedVideo],
    length_ms: int = 0,
    source: usage_pb2.UsageSource.ValueType = usage_pb2.USAGE_SOURCE_ESTIMATED,
) -> Product[video_pb2.VideoResult]:
    """The films. Their usage is their length: as the provider tells it, or as it was agreed."""
    if not videos:
        raise UpstreamFailure(FailureKind.FILTERED)
    usage = usage_pb2.Usage(unit_counts={"video_ms": length_ms * len(videos)}, source=source) if length_ms else None
    return Product(video_pb2.VideoResult(videos=videos), usage)
