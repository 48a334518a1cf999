"""How each provider makes pictures and films on the wire: the answers of its server, in order."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.wire.pictures import PNG, blob, film, picture
from trunkline_server.core.errand import Errand
from trunkline_server.core.operation import Operation

TEXT: Final = base64.b64encode(PNG).decode()
ADDRESS: Final = f"data:image/png;base64,{TEXT}"
FILM: Final = b"\x00\x00\x00\x18ftypisom"
JSON: Final = "application/json"


@dataclass(frozen=True)
class Reply:
    """An answer of the server, and the path that is asked for it."""

    path: str
    body: Any = b""
    kind: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Case:
    """A provider at work. Long work has more than one reply; `address`: what comes is no bytes, but an address."""

    name: str
    operation: Operation
    model: str
    replies: Sequence[Reply]
    dialect: str = ""
    key_header: str = "authorization"
    address: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.name, self.dialect, self.operation.value)))

    @property
    def is_long(self) -> bool:
        return len(self.replies) > 1

    def errand(self) -> Errand[Any]:
        match self.operation:
            case Operation.VIDEO:
                return film(self.model, 4, image=blob())
            case Operation.IMAGE_EDIT:
                return picture(self.model, images=[blob()])
            case _:
                return picture(self.model)


def _images(path: str) -> list[Reply]:
    return [Reply(path, {"created": 1, "data": [{"b64_json": TEXT}]})]


def _drawn(path: str) -> list[Reply]:
    return [Reply(path, {"candidates": [{"content": {"parts": [{"inlineData": {"data": TEXT}}]}}]})]


def _chat(path: str) -> list[Reply]:
    return [Reply(path, {"choices": [{"message": {"images": [{"image_url": {"url": ADDRESS}}]}}]})]


def _queue(result: object) -> list[Reply]:
    place = "/fal-ai/flux/requests/r1"
    urls = {"status": f"{place}/status", "response": place, "cancel": f"{place}/cancel"}
    ticket = {f"{name}_url": f"https://queue.fal.run{path}" for name, path in urls.items()}
    return [
        Reply("/fal-ai/flux/dev", {"request_id": "r1", **ticket}),
        Reply(f"{place}/status", {"status": "IN_QUEUE", "queue_position": 1}, status=202),
        Reply(f"{place}/status", {"status": "COMPLETED"}),
        Reply(place, result),
    ]


def _sora() -> list[Reply]:
    job = {"id": "video_1", "seconds": "4"}
    return [
        Reply("/videos", {**job, "status": "queued"}),
        Reply("/videos/video_1", {**job, "status": "in_progress", "progress": 50}),
        Reply("/videos/video_1", {**job, "status": "completed"}),
        Reply("/videos/video_1/content", FILM, "video/mp4"),
    ]


def _veo() -> list[Reply]:
    name, file = "models/veo-3/operations/o1", "/v1beta/files/abc:download?alt=media"
    made = {"generatedSamples": [{"video": {"uri": f"https://generativelanguage.googleapis.com{file}"}}]}
    onward = {"location": f"https://generativelanguage.googleapis.com/download{file}"}
    return [
        Reply("/v1beta/models/veo-3:predictLongRunning", {"name": name}),
        Reply(f"/v1beta/{name}", {"name": name}),
        Reply(f"/v1beta/{name}", {"name": name, "done": True, "response": {"generateVideoResponse": made}}),
        Reply(file, b"", status=302, headers=onward),
        Reply(f"/download{file}", FILM, "video/mp4"),
    ]


def _xai() -> list[Reply]:
    return [
        Reply("/videos/generations", {"request_id": "r1"}),
        Reply("/videos/r1", {"status": "pending", "progress": 1}, status=202),
        Reply("/videos/r1", {"status": "done", "video": {"url": "https://vidgen.x.ai/a.mp4", "duration": 4}}),
    ]


def _stability() -> list[Reply]:
    return [
        Reply("/v2beta/image-to-video", {"id": "a1"}),
        Reply("/v2beta/image-to-video/result/a1", {"status": "in-progress"}, status=202),
        Reply("/v2beta/image-to-video/result/a1", FILM, "video/mp4"),
    ]


IMAGE, EDIT, VIDEO = Operation.IMAGE, Operation.IMAGE_EDIT, Operation.VIDEO
CORE: Final = Reply("/v2beta/stable-image/generate/core", PNG, "image/png")
GOOGLE: Final = "x-goog-api-key"
DRAW: Final = "/v1beta/models/gemini-3:generateContent"
CASES: Final = (
    Case("openai", IMAGE, "gpt-image-1", _images("/images/generations")),
    Case("openai", EDIT, "gpt-image-1", _images("/images/edits")),
    Case("openai", VIDEO, "sora-2", _sora()),
    Case("gemini", IMAGE, "gemini-3", _drawn(DRAW), key_header=GOOGLE),
    Case("gemini", EDIT, "gemini-3", _drawn(DRAW), key_header=GOOGLE),
    Case("gemini", VIDEO, "veo-3", _veo(), key_header=GOOGLE),
    Case("xai", IMAGE, "grok-imagine-image", _images("/images/generations")),
    Case("xai", EDIT, "grok-imagine-image", _images("/images/edits")),
    Case("xai", VIDEO, "grok-imagine-video", _xai(), address="https://vidgen.x.ai/a.mp4"),
    Case("huggingface", IMAGE, "a/b", [Reply("/hf-inference/models/a/b", PNG, "image/png")]),
    Case("openrouter", IMAGE, "a/b", _chat("/chat/completions")),
    Case("openrouter", EDIT, "a/b", _chat("/chat/completions")),
    Case("stability", IMAGE, "core", [CORE]),
    Case("stability", EDIT, "inpaint", [Reply("/v2beta/stable-image/edit/inpaint", PNG, "image/png")]),
    Case("stability", VIDEO, "image-to-video", _stability()),
    Case("fal", IMAGE, "fal-ai/flux/dev", _queue({"images": [{"url": ADDRESS}]})),
    Case("fal", EDIT, "fal-ai/flux/dev", _queue({"images": [{"url": ADDRESS}]})),
    Case("fal", VIDEO, "fal-ai/flux/dev", _queue({"video": {"url": "https://a/b.mp4"}}), address="https://a/b.mp4"),
    Case("own", IMAGE, "sdxl", _images("/images/generations"), "openai"),
    Case("own", EDIT, "sdxl", _images("/images/edits"), "openai"),
    Case("own", IMAGE, "gpt-image-1", _images("/images/generations"), "azure", "api-key"),
    Case("own", EDIT, "gpt-image-1", _images("/images/edits"), "azure", "api-key"),
    Case("own", IMAGE, "gemini-3", _drawn(DRAW), "gemini", GOOGLE),
)
