"""Work as one provider gets it: what the caller said, the provider's name for the model, and what changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from trunkline.v1 import audio_pb2, chat_pb2, embeddings_pb2, images_pb2, moderation_pb2, video_pb2
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.pace import Pace

Input: TypeAlias = (
    chat_pb2.ChatInput
    | embeddings_pb2.EmbedInput
    | embeddings_pb2.RerankInput
    | images_pb2.ImageInput
    | audio_pb2.SpeechInput
    | audio_pb2.TranscriptionInput
    | moderation_pb2.ModerationInput
    | video_pb2.VideoInput
)
"""What is asked for. All of them name a model, a routing, labels, options and the most that it may cost alike."""

InputT = TypeVar("InputT", bound=Input)


@dataclass(slots=True)
class Errand(Generic[InputT]):
    """`options` are the caller's further fields for this provider; files in the input have their bytes. `pace` hears
    what the provider says of its limits."""

    provider: str
    model: str
    input: InputT
    options: Mapping[str, object] = field(default_factory=dict)
    end_user: str = ""
    warnings: list[chat_pb2.Warning] = field(default_factory=list)
    pace: Pace | None = None
    idempotency_key: str = ""

    def named(self) -> str:
        """What it is called at the provider, each time that it is sent there."""
        self.idempotency_key = self.idempotency_key or os.urandom(16).hex()
        return self.idempotency_key

    def drop(self, path: str, description: str) -> None:
        """The provider cannot take this: refuse it if the caller is strict, else leave it out and say so."""
        if self.input.strict_parameters:
            raise invalid(f"input.{path}", description, Reason.PARAMETER_UNSUPPORTED)
        self.warn(chat_pb2.WARNING_CODE_PARAMETER_DROPPED, path, description)

    def adjust(self, path: str, description: str) -> None:
        """The value was moved to one that the provider takes."""
        if self.input.strict_parameters:
            raise invalid(f"input.{path}", description, Reason.PARAMETER_UNSUPPORTED)
        self.warn(chat_pb2.WARNING_CODE_PARAMETER_ADJUSTED, path, description)

    def warn(self, code: chat_pb2.WarningCode.ValueType, path: str, description: str) -> None:
        warning = chat_pb2.Warning(code=code, field=f"input.{path}" if path else "", message=description)
        if warning not in self.warnings:  # work in pieces would say it once for each
            self.warnings.append(warning)
