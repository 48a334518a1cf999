"""The files of work other than chat: what they are and where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.v1 import audio_pb2, content_pb2, images_pb2, moderation_pb2, video_pb2
from trunkline_server.core.errand import Input


def blobs_of(input: Input) -> Iterator[tuple[content_pb2.Blob, str, str]]:
    """Each with its kind (`image`, `audio`) and its path within the input."""
    match input:
        case images_pb2.ImageInput() | moderation_pb2.ModerationInput():
            yield from ((blob, "image", f"images[{index}]") for index, blob in enumerate(input.images))
            if isinstance(input, images_pb2.ImageInput) and input.HasField("mask"):
                yield input.mask, "image", "mask"
        case video_pb2.VideoInput():
            yield from (
                (getattr(input, name), "image", name) for name in ("image", "last_image") if input.HasField(name)
            )
        case audio_pb2.TranscriptionInput() if input.HasField("audio"):
            yield input.audio, "audio", "audio"
        case _:
            return
