"""Names that go into a path, where nothing may stand that could leave it."""

from __future__ import annotations

import re
from typing import Final

from trunkline_server.core.errors import Reason, invalid, not_found

MODEL: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
VOICE: Final = re.compile(r"[A-Za-z0-9_-]+")


def model_in_path(model: str) -> str:
    """`maker/model`, or a model alone."""
    if not MODEL.fullmatch(model):
        raise not_found("model", model, Reason.MODEL_NOT_FOUND)
    return model


def voice_in_path(voice: str) -> str:
    """The id of a voice."""
    if not VOICE.fullmatch(voice):
        raise invalid("input.voice", "this provider wants the id of a voice; the list of voices has it")
    return voice
