"""The kinds of work that the gateway has done for callers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trunkline.v1 import models_pb2


class Operation(StrEnum):
    """As it stands on usage rows."""

    CHAT = "chat"
    EMBED = "embed"
    RERANK = "rerank"
    IMAGE = "image"
    IMAGE_EDIT = "image_edit"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    AUDIO_TRANSLATION = "audio_translation"
    VIDEO = "video"
    MODERATION = "moderation"


CAPABILITIES: Final[Mapping[Operation, models_pb2.Capability.ValueType]] = MappingProxyType(
    {
        Operation.CHAT: models_pb2.CAPABILITY_CHAT,
        Operation.EMBED: models_pb2.CAPABILITY_EMBED,
        Operation.RERANK: models_pb2.CAPABILITY_RERANK,
        Operation.IMAGE: models_pb2.CAPABILITY_IMAGE_GENERATION,
        Operation.IMAGE_EDIT: models_pb2.CAPABILITY_IMAGE_EDIT,
        Operation.SPEECH: models_pb2.CAPABILITY_SPEECH,
        Operation.TRANSCRIPTION: models_pb2.CAPABILITY_TRANSCRIPTION,
        Operation.AUDIO_TRANSLATION: models_pb2.CAPABILITY_AUDIO_TRANSLATION,
        Operation.VIDEO: models_pb2.CAPABILITY_VIDEO_GENERATION,
        Operation.MODERATION: models_pb2.CAPABILITY_MODERATION,
    }
)
