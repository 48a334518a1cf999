"""Whatever comes back, torn or changed: a craft reads it, or says that it failed, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.pictures import PNG, film, picture
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.providers.builtin import declaration
from trunkline_server.wire import films
from trunkline_server.wire.fal.films import FalVideos
from trunkline_server.wire.fal.images import FalImages
from trunkline_server.wire.gemini.films import GeminiVideos
from trunkline_server.wire.gemini.images import GeminiImages
from trunkline_server.wire.huggingface.images import HuggingFaceImages
from trunkline_server.wire.openai_chat.images import ChatImages
from trunkline_server.wire.openai_images import OpenAIImages
from trunkline_server.wire.openai_videos import OpenAIVideos
from trunkline_server.wire.stability.films import StabilityVideos
from trunkline_server.wire.stability.images import StabilityImages
from trunkline_server.wire.xai_videos import XAIVideos

TEXT = base64.b64encode(PNG).decode()
ADDRESS = f"data:image/png;base64,{TEXT}"
JSON = {"content-type": "application/json"}
FAL = '{"status": "/a", "response": "/a", "cancel": "/a", "duration_ms": 5000}'
KEPT = films.keep("models/v/operations/o", 4000)
USAGE = {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"image_tokens": 1}}
SAMPLES = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": "https://g/v1beta/files/a:download"}}]}}
TICKET = {f"{name}_url": f"https://queue.fal.run/fal-ai/x/requests/{name}" for name in ("status", "response", "cancel")}
Reader = Callable[[bytes], Any]

READERS: dict[str, tuple[Any, Reader]] = {
    "openai": (
        {"data": [{"b64_json": TEXT, "revised_prompt": "x"}], "usage": USAGE},
        lambda body: OpenAIImages().decode(picture("m"), JSON, body),
    ),
    "chat": (
        {
            "id": "1",
            "choices": [{"message": {"images": [{"image_url": {"url": ADDRESS}}]}}],
            "usage": {"prompt_tokens": 1},
        },
        lambda body: ChatImages().decode(picture("m"), JSON, body),
    ),
    "gemini": (
        {
            "candidates": [{"content": {"parts": [{"inlineData": {"data": TEXT}}]}}],
            "usageMetadata": {"promptTokenCount": 1},
        },
        lambda body: GeminiImages().decode(picture("g"), JSON, body),
    ),
    "imagen": (
        {"predictions": [{"bytesBase64Encoded": TEXT}, {"raiFilteredReason": "x"}]},
        lambda body: GeminiImages().decode(picture("imagen-4"), JSON, body),
    ),
    "stability": (
        {"image": TEXT, "finish_reason": "SUCCESS", "seed": 7},
        lambda body: StabilityImages().decode(picture("core"), JSON, body),
    ),
    "huggingface": (
        {"a": 1},
        lambda body: HuggingFaceImages().decode(picture("m"), {"content-type": "image/png"}, body),
    ),
    "fal": (
        {"images": [{"url": ADDRESS}], "seed": 7, "has_nsfw_concepts": [False]},
        lambda body: FalImages().fetched(picture("fal-ai/x"), FAL, JSON, body),
    ),
    "fal-film": ({"video": {"url": "https://a"}}, lambda body: FalVideos().fetched(film("fal-ai/x"), FAL, JSON, body)),
    "fal-ticket": (TICKET, lambda body: FalVideos().submitted(film("fal-ai/x"), JSON, body)),
    "fal-status": (
        {"status": "COMPLETED", "error": None},
        lambda body: FalVideos().polled(film("fal-ai/x"), FAL, 200, JSON, body),
    ),
    "sora-begun": ({"id": "video_1", "seconds": "4"}, lambda body: OpenAIVideos().submitted(film("m"), JSON, body)),
    "sora": (
        {"id": "video_1", "status": "failed", "progress": 3, "error": {"code": "x"}},
        lambda body: OpenAIVideos().polled(film("m"), KEPT, 200, JSON, body),
    ),
    "veo-begun": ({"name": "models/v/operations/o"}, lambda body: GeminiVideos().submitted(film("m"), JSON, body)),
    "veo": ({"done": True, "response": SAMPLES}, lambda body: GeminiVideos().polled(film("m"), KEPT, 200, JSON, body)),
    "veo-file": ({"done": True, "response": SAMPLES}, lambda body: GeminiVideos().fetch(KEPT, body)),
    "xai-begun": ({"request_id": "r1"}, lambda body: XAIVideos().submitted(film("m"), JSON, body)),
    "xai": (
        {"status": "done", "progress": 1, "video": {"url": "https://a", "duration": 8}},
        lambda body: XAIVideos().polled(film("m"), KEPT, 200, JSON, body),
    ),
    "stability-begun": ({"id": "a1"}, lambda body: StabilityVideos().submitted(film("m"), JSON, body)),
}
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", READERS)
def test_whole_answers_are_read(name: str) -> None:
    good, read = READERS[name]
    with suppress(UpstreamFailure):  # the one that says that it has failed
        read(json.dumps(good).encode())
        return
    assert name == "sora"


@pytest.mark.parametrize("name", READERS)
@given(chance=st.data())
def test_torn_answers(name: str, chance: st.DataObject) -> None:
    good, read = READERS[name]
    body = bytearray(json.dumps(good).encode())
    for _ in range(chance.draw(st.integers(0, 3))):
        body[chance.draw(st.integers(0, len(body) - 1))] = chance.draw(st.integers(0, 255))
    with suppress(UpstreamFailure):
        read(bytes(body[: chance.draw(st.integers(0, len(body)))]))


@pytest.mark.parametrize("name", READERS)
@given(chance=st.data())
def test_changed_answers(name: str, chance: st.DataObject) -> None:
    good, read = READERS[name]
    changed = _changed(good, chance)
    with suppress(UpstreamFailure):
        read(json.dumps(changed).encode())


@pytest.mark.parametrize("name", ["stability", "fal", "openai", "gemini"])
@given(body=st.binary(max_size=200), status=st.sampled_from([400, 403, 404, 422, 429, 500, 504]))
def test_errors_of_any_kind(name: str, body: bytes, status: int) -> None:
    assert declaration(name).wire.failure(status, {}, body).http_status == status


def _changed(value: Any, chance: st.DataObject) -> Any:
    """The value with something else in one place."""
    if not isinstance(value, dict | list) or not value or chance.draw(st.booleans()):
        return chance.draw(values)
    if isinstance(value, list):
        return [_changed(value[0], chance), *value[1:]]
    key = chance.draw(st.sampled_from(sorted(value)))
    return {**value, key: _changed(value[key], chance)}
