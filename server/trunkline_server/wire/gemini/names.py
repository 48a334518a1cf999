"""Names of models, which stand in the path of every request."""

from __future__ import annotations

import re
from typing import Final

from trunkline_server.core.errors import Reason, not_found

MODEL: Final = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][A-Za-z0-9._-]*")


def qualified(model: str) -> str:
    """The model with its collection in front. It goes into the path, so nothing may stand there that could leave it."""
    if not MODEL.fullmatch(model):
        raise not_found("model", model, Reason.MODEL_NOT_FOUND)
    return model if "/" in model else f"models/{model}"
