"""What is read of the answers of the images API. Unknown fields are skipped."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

NOTHING: Final = Raw(b"null")


class Image(Struct, gc=False):
    """A picture: bytes in base64, or an address."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    mime_type: str | None = None
    respect_moderation: bool | None = None


class Details(Struct, gc=False):
    """Tokens by what they stand for."""

    text_tokens: float | None = None
    image_tokens: float | None = None
    cached_tokens: float | None = None


class Usage(Struct, gc=False):
    """What newer models count; older ones tell nothing."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class Answer(Struct, gc=False):
    """The body of a good answer, or of one that says 200 and holds an error."""

    data: list[Image] | None = None
    usage: Usage | None = None
    output_format: str | None = None
    error: Raw = NOTHING


ANSWER: Final = msgspec.json.Decoder(Answer)
