"""Hugging Face's own inference: one address for each model and task, beside the router for chat."""

from __future__ import annotations

import re
from typing import Final

from trunkline_server.core.errors import Reason, not_found

MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?")
ITSELF: Final = ":hf-inference"


def task_path(model: str, task: str = "") -> str:
    """Where a model does a task. The name goes into the path, so nothing may stand there that could leave it."""
    name = model.removesuffix(ITSELF)
    if not MODEL.fullmatch(name):
        raise not_found("model", model, Reason.MODEL_NOT_FOUND)
    return f"/hf-inference/models/{name}" + (f"/pipeline/{task}" if task else "")
