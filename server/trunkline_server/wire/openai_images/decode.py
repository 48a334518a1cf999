"""Reads the pictures and what they used."""

from __future__ import annotations

import msgspec

from trunkline.v1 import images_pb2, usage_pb2
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_images import shapes


def read(body: bytes) -> shapes.Answer:
    """The answer. Raises UpstreamFailure where it is an error."""
    answer = dialect.parse(shapes.ANSWER, body)
    if bytes(answer.error) != b"null":
        raise _failure(answer.error)
    return answer


def images_of(answer: shapes.Answer) -> list[images_pb2.GeneratedImage]:
    """The pictures in their order."""
    declared = f"image/{answer.output_format}" if answer.output_format else ""
    return [_image(image, declared) for image in answer.data or ()]


def usage_of(told: shapes.Usage | None) -> usage_pb2.Usage | None:
    """Tokens of pictures are part of the input, and all of the output where nothing else is said."""
    if told is None or told.output_tokens is None:
        return None
    before = told.input_tokens_details or shapes.Details()
    after = told.output_tokens_details or shapes.Details(image_tokens=told.output_tokens)
    usage = usage_pb2.Usage(
        input_tokens=dialect.count(told.input_tokens),
        cached_input_tokens=dialect.count(before.cached_tokens),
        output_tokens=dialect.count(told.output_tokens),
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    parts = {"input_image": dialect.count(before.image_tokens), "output_image": dialect.count(after.image_tokens)}
    usage.unit_counts.update({unit: tokens for unit, tokens in parts.items() if tokens})
    return usage


def _image(told: shapes.Image, declared: str) -> images_pb2.GeneratedImage:
    if told.respect_moderation is False:
        image = pictures.withheld()
    elif told.b64_json:
        image = pictures.picture(pictures.decode(told.b64_json), told.mime_type or declared)
    else:
        image = pictures.picture_at(told.url or "", told.mime_type or declared)
    image.revised_prompt = told.revised_prompt or ""
    return image


def _failure(error: msgspec.Raw) -> UpstreamFailure:
    return failures.of_event(b'{"error":%b}' % bytes(error))
