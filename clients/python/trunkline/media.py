"""Pictures, sounds and films that were made, and what was heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, TypeAlias, TypeVar, overload

from trunkline.amounts import to_decimal
from trunkline.v1 import audio_pb2, content_pb2, films_pb2, images_pb2, receipt_pb2

Imaged: TypeAlias = images_pb2.GenerateImagesResponse | images_pb2.EditImagesResponse
Heard: TypeAlias = audio_pb2.TranscribeResponse | audio_pb2.TranslateAudioResponse


@dataclass(frozen=True)
class Content:
    """Bytes, or an address where they are for a while."""

    blob: content_pb2.Blob

    @property
    def data(self) -> bytes:
        """Empty where only an address is told."""
        return self.blob.data

    @property
    def uri(self) -> str:
        return self.blob.uri

    @property
    def media_type(self) -> str:
        return self.blob.media_type

    def save(self, path: str | Path) -> Path:
        """Writes the bytes to a file. Raises `ValueError` where there are none here."""
        if not self.data:
            raise ValueError(f"there are no bytes here, only an address: {self.uri!r}")
        with created(path) as file:
            file.write(self.data)
        return Path(path)


@dataclass(frozen=True)
class Picture(Content):
    """One that was made."""

    revised_prompt: str = ""
    """The prompt as the provider rewrote it."""
    filtered: bool = False
    """The provider changed or withheld it."""


@dataclass(frozen=True)
class Film(Content):
    """One that was made."""

    duration_s: float = 0.0
    """0 where it is not told."""


@dataclass(frozen=True)
class Sound(Content):
    """One that was made, whole."""

    receipt: receipt_pb2.Receipt

    @property
    def charge(self) -> Decimal:
        return to_decimal(self.receipt.charge)


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording, with the bill."""

    response: Heard

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        return self.response.transcript.text

    @property
    def language(self) -> str:
        return self.response.transcript.language

    @property
    def segments(self) -> Sequence[audio_pb2.TranscriptionSegment]:
        """Sentences or so with their times, where they were asked for."""
        return self.response.transcript.segments

    @property
    def words(self) -> Sequence[audio_pb2.TranscriptionWord]:
        return self.response.transcript.words

    @property
    def charge(self) -> Decimal:
        return to_decimal(self.response.receipt.charge)


MadeT = TypeVar("MadeT")


@dataclass(frozen=True)
class Several(Sequence[MadeT]):
    """What one call made, in order, with the bill."""

    made: Sequence[MadeT]
    receipt: receipt_pb2.Receipt

    @overload
    def __getitem__(self, index: int) -> MadeT: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MadeT]: ...
    def __getitem__(self, index: int | slice) -> MadeT | Sequence[MadeT]:
        return self.made[index]

    def __len__(self) -> int:
        return len(self.made)

    def __iter__(self) -> Iterator[MadeT]:
        return iter(self.made)

    @property
    def model(self) -> str:
        """Who made them: `provider/model`."""
        return f"{self.receipt.provider}/{self.receipt.model}"

    @property
    def charge(self) -> Decimal:
        return to_decimal(self.receipt.charge)


def created(path: str | Path) -> BinaryIO:
    """A file to write to."""
    return Path(path).open("wb")


def pictures(response: Imaged) -> Several[Picture]:
    made = [Picture(each.blob, each.revised_prompt, each.filtered) for each in response.images]
    return Several(made, response.receipt)


def films(result: films_pb2.VideoResult) -> Several[Film]:
    made = [Film(each.blob, each.duration.ToTimedelta().total_seconds()) for each in result.videos]
    return Several(made, result.receipt)
