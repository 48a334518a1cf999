"""`/v1/moderations`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.message import Message
from msgspec import Raw, Struct

from trunkline.v1 import moderation_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.exchange import Reply
from trunkline_server.edge.openai.errand import Errand, told
from trunkline_server.edge.reading import decode, extend, fill_blob

MODERATE: Final = "/trunkline.v1.ModerationService/Moderate"
DEFAULT_MODEL: Final = "omni-moderation-latest"
"""As its API has it, where none is named."""


class ImageUrl(Struct):
    url: str


class Part(Struct):
    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class ModerationsRequest(Struct):
    input: str | list[str | Part]
    model: str = DEFAULT_MODEL
    trunkline: Raw = Raw()


class Moderations(Errand):
    """Parts are judged each on its own, texts first, where OpenAI judges them together."""

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        request = decode(body, ModerationsRequest)
        input = extend(moderation_pb2.ModerationInput(), request.trunkline, request.model)
        _fill(input, [request.input] if isinstance(request.input, str) else request.input)
        return visit.procedure, moderation_pb2.ModerateRequest(input=input)

    def write(self, visit: Visit, response: Any) -> Reply:
        receipt, results = response.receipt, [_result(result) for result in response.results]
        return told(visit, response, {"id": receipt.completion_id, "model": receipt.model, "results": results})


def _fill(input: moderation_pb2.ModerationInput, given: Sequence[str | Part]) -> None:
    for index, part in enumerate(given):
        path = f"input[{index}]"
        if isinstance(part, str):
            input.texts.append(part)
        elif part.type == "text":
            input.texts.append(part.text)
        elif part.type == "image_url" and part.image_url is not None:
            fill_blob(input.images.add(), part.image_url.url, f"{path}.image_url.url")
        else:
            raise invalid(f"{path}.type", "must be text or image_url")


def _result(result: moderation_pb2.ModerationResult) -> dict[str, Any]:
    return {
        "flagged": result.flagged,
        "categories": {each.name: each.flagged for each in result.categories},
        "category_scores": {each.name: each.score for each in result.categories},
    }
