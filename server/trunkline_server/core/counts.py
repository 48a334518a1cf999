"""What work other than chat uses, counted from what is asked for: at most, to hold money, and as it is billed where the
provider tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from trunkline.v1 import audio_pb2, embeddings_pb2, images_pb2, moderation_pb2, usage_pb2, video_pb2
from trunkline_server.core.estimate import IMAGE_TOKENS, text_tokens
from trunkline_server.core.operation import Operation
from trunkline_server.core.sound import duration_ms, duration_ms_max

CALL_TOKENS: Final = 8
DOCUMENTS_PER_SEARCH: Final = 100
PICTURE_TOKENS: Final = 1700
PICTURE_TOKENS_MAX: Final = 8192
"""Output tokens of one picture, usually and at most, with models that count so."""
SPEECH_TOKENS_PER_CHAR: Final = 2
SPEECH_TOKENS_PER_CHAR_MAX: Final = 4
SPEECH_TOKENS_MIN: Final = 50
AUDIO_MS_PER_TOKEN: Final = 31
"""Models that count sound in tokens hear up to 32 a second."""
WORDS_MS_PER_TOKEN: Final = 200
VIDEO_MS: Final = 8000
"""A film whose length nobody said."""
VIDEO_MS_MAX: Final = 15_000


@dataclass(frozen=True, slots=True)
class Counts:
    """`usual` is billed where the provider tells nothing, `most` is held. A price names one of the `paying` units."""

    usual: Callable[[Any], usage_pb2.Usage]
    most: Callable[[Any], usage_pb2.Usage]
    paying: frozenset[str]


def _usage(input_tokens: int = 0, output_tokens: int = 0, **units: int) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        unit_counts=units,
        source=usage_pb2.USAGE_SOURCE_ESTIMATED,
    )


def _embed(input: embeddings_pb2.EmbedInput) -> usage_pb2.Usage:
    return _usage(CALL_TOKENS + sum(map(text_tokens, input.texts)))


def _rerank(input: embeddings_pb2.RerankInput) -> usage_pb2.Usage:
    """The query is read with every document."""
    query = text_tokens(input.query)
    tokens = CALL_TOKENS + sum(query + text_tokens(document) for document in input.documents)
    return _usage(tokens, searches=-(-len(input.documents) // DOCUMENTS_PER_SEARCH))


def _image(input: images_pb2.ImageInput, picture_tokens: int) -> usage_pb2.Usage:
    count = max(input.image_count, 1)
    words = text_tokens(input.prompt) + text_tokens(input.negative_prompt)
    shown = IMAGE_TOKENS * (len(input.images) + input.HasField("mask"))
    return _usage(CALL_TOKENS + words + shown, picture_tokens * count, images=count)


def _speech(input: audio_pb2.SpeechInput, tokens_per_char: int) -> usage_pb2.Usage:
    words = text_tokens(input.text) + text_tokens(input.instructions)
    length = len(input.text)
    return _usage(CALL_TOKENS + words, SPEECH_TOKENS_MIN + tokens_per_char * length, characters=length)


def _transcription(input: audio_pb2.TranscriptionInput, length_of: Callable[[bytes], int]) -> usage_pb2.Usage:
    length_ms = length_of(input.audio.data)
    heard = length_ms // AUDIO_MS_PER_TOKEN
    said = length_ms // WORDS_MS_PER_TOKEN
    return _usage(CALL_TOKENS + heard + text_tokens(input.prompt), CALL_TOKENS + said, audio_ms=length_ms)


def _moderation(input: moderation_pb2.ModerationInput) -> usage_pb2.Usage:
    return _usage(CALL_TOKENS + sum(map(text_tokens, input.texts)) + IMAGE_TOKENS * len(input.images))


def _video(input: video_pb2.VideoInput, untold_ms: int) -> usage_pb2.Usage:
    told = input.duration.seconds * 1000 + input.duration.nanos // 1_000_000
    count = max(input.video_count, 1)
    words = text_tokens(input.prompt) + text_tokens(input.negative_prompt)
    return _usage(CALL_TOKENS + words, video_ms=(told or untold_ms) * count, videos=count)


_TRANSCRIPTION: Final = Counts(
    partial(_transcription, length_of=duration_ms),
    partial(_transcription, length_of=duration_ms_max),
    frozenset(("audio_ms", "input", "input_audio")),
)
_PICTURES: Final = Counts(
    partial(_image, picture_tokens=PICTURE_TOKENS),
    partial(_image, picture_tokens=PICTURE_TOKENS_MAX),
    frozenset(("images", "output", "output_image")),
)
COUNTS: Final[Mapping[Operation, Counts]] = {
    Operation.EMBED: Counts(_embed, _embed, frozenset(("input",))),
    Operation.RERANK: Counts(_rerank, _rerank, frozenset(("searches", "input"))),
    Operation.IMAGE: _PICTURES,
    Operation.IMAGE_EDIT: _PICTURES,
    Operation.SPEECH: Counts(
        partial(_speech, tokens_per_char=SPEECH_TOKENS_PER_CHAR),
        partial(_speech, tokens_per_char=SPEECH_TOKENS_PER_CHAR_MAX),
        frozenset(("characters", "output", "output_audio")),
    ),
    Operation.TRANSCRIPTION: _TRANSCRIPTION,
    Operation.AUDIO_TRANSLATION: _TRANSCRIPTION,
    Operation.MODERATION: Counts(_moderation, _moderation, frozenset(("input",))),
    Operation.VIDEO: Counts(
        partial(_video, untold_ms=VIDEO_MS),
        partial(_video, untold_ms=VIDEO_MS_MAX),
        frozenset(("video_ms", "videos", "output")),
    ),
}
