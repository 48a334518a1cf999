"""Whether work other than chat is whole: what its field rules cannot say, because it lies between fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trunkline.v1 import audio_pb2, embeddings_pb2, images_pb2, moderation_pb2, video_pb2
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.blobs import blobs_of
from trunkline_server.core.errand import Input
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.estimate import text_tokens
from trunkline_server.core.question import check_blob, check_name, check_terms

SOUND_TYPES: Final = ("audio/", "video/", "application/ogg", "application/octet-stream")
CHARS_MAX: Final = 32 * 1024 * 1024
"""All texts of one call together."""


def check(input: Input, policy: EgressPolicy) -> None:
    """Raises VALIDATION, URL_NOT_ALLOWED or MEDIA_INVALID, with the path of the field."""
    check_terms(input)
    for blob, kind, path in blobs_of(input):
        check_blob(blob, kind, f"input.{path}", policy)
    _RULES[type(input)](input)


def check_sound(media_type: str, path: str) -> None:
    """A recording must say what it is: nothing else does. Raises MEDIA_INVALID."""
    if not media_type.lower().startswith(SOUND_TYPES):
        raise invalid(path, "is no type of sound, such as audio/wav", Reason.MEDIA_INVALID)


def _embed(input: embeddings_pb2.EmbedInput) -> None:
    for index, text in enumerate(input.texts):
        _check_words(text, f"input.texts[{index}]")
    _check_length(sum(map(len, input.texts)), "input.texts")


def _rerank(input: embeddings_pb2.RerankInput) -> None:
    _check_words(input.query, "input.query")
    for index, document in enumerate(input.documents):
        _check_words(document, f"input.documents[{index}]")
    _check_length(sum(map(len, input.documents)), "input.documents")


def _image(input: images_pb2.ImageInput) -> None:
    for name in ("prompt", "negative_prompt", "quality", "style", "background", "media_type"):
        check_name(getattr(input, name), f"input.{name}")
    if input.size and input.aspect_ratio:
        raise invalid("input.aspect_ratio", "goes instead of a size, not with one")
    if not input.images:
        _check_generation(input)
    elif input.edit in (images_pb2.IMAGE_EDIT_UNSPECIFIED, images_pb2.IMAGE_EDIT_PROMPT):
        _require_words(input.prompt)


def _check_generation(input: images_pb2.ImageInput) -> None:
    for name in ("mask", "strength"):
        if input.HasField(name):
            raise invalid(f"input.{name}", "is about pictures to change, and there are none")
    if input.edit:
        raise invalid("input.edit", "is about pictures to change, and there are none")
    _require_words(input.prompt)


def _speech(input: audio_pb2.SpeechInput) -> None:
    _check_words(input.text, "input.text")
    for name in ("instructions", "media_type"):
        check_name(getattr(input, name), f"input.{name}")


def _transcription(input: audio_pb2.TranscriptionInput) -> None:
    check_name(input.prompt, "input.prompt")
    if input.HasField("audio"):
        check_sound(input.audio.media_type or input.media_type, "input.audio.media_type")


def _moderation(input: moderation_pb2.ModerationInput) -> None:
    if not (input.texts or input.images):
        raise invalid("input.texts", "is empty, and so is images: there is nothing to judge")
    for index, text in enumerate(input.texts):
        _check_words(text, f"input.texts[{index}]")
    _check_length(sum(map(len, input.texts)), "input.texts")


def _video(input: video_pb2.VideoInput) -> None:
    for name in ("prompt", "negative_prompt", "resolution"):
        check_name(getattr(input, name), f"input.{name}")
    if not input.HasField("image"):
        _require_words(input.prompt)


def _require_words(prompt: str) -> None:
    if not text_tokens(prompt.strip()):
        raise invalid("input.prompt", "is empty")


def _check_words(text: str, path: str) -> None:
    check_name(text, path)
    if not text.strip():
        raise invalid(path, "has no words")


def _check_length(chars: int, path: str) -> None:
    if chars > CHARS_MAX:
        raise invalid(path, f"have {chars} characters together; at most {CHARS_MAX} are taken")


_RULES: Final[Mapping[type[Any], Callable[[Any], None]]] = {
    embeddings_pb2.EmbedInput: _embed,
    embeddings_pb2.RerankInput: _rerank,
    images_pb2.ImageInput: _image,
    audio_pb2.SpeechInput: _speech,
    audio_pb2.TranscriptionInput: _transcription,
    moderation_pb2.ModerationInput: _moderation,
    video_pb2.VideoInput: _video,
}
