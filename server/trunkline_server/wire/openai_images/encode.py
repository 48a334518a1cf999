"""Spells what is wanted, as JSON or as a form with files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trunkline.v1 import content_pb2
from trunkline_server.wire import dialect, pictures
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import multipart
from trunkline_server.wire.openai_images.quirks import Model
from trunkline_server.wire.pictures import PictureErrand

NAMES = {"quality": "quality", "style": "style", "background": "background", "negative_prompt": "negative_prompt"}
UNSAID = ("negative_prompt", "quality", "style", "background", "media_type", "seed", "strength")


def json_request(path: str, body: Mapping[str, object]) -> HttpRequest:
    return HttpRequest("POST", path, dialect.JSON_HEADERS, dialect.spell(body))


def fields_of(errand: PictureErrand, model: Model) -> dict[str, object]:
    """What is said of pictures alike, whether they are made or changed."""
    asked = errand.input
    pictures.drop_set(errand, *(field for field in UNSAID if field not in model.fields))
    body: dict[str, object] = {"model": errand.model, "prompt": asked.prompt}
    if asked.HasField("image_count"):
        body["n"] = asked.image_count
    body |= {name: getattr(asked, field) for field, name in NAMES.items() if field in model.fields}
    body |= {"size": _size(errand, model), "aspect_ratio": pictures.ratio(errand, model.ratios) if model.ratios else ""}
    body["output_format"] = pictures.output_format(errand) if "media_type" in model.fields else ""
    body["response_format"] = _response_format(errand, model)
    body["user"] = errand.end_user
    if asked.HasField("seed") and "seed" in model.fields:
        body["seed"] = asked.seed
    return {name: value for name, value in body.items() if value != ""}


def form(path: str, errand: PictureErrand, body: Mapping[str, object]) -> HttpRequest:
    """A form: pictures of the caller's are its files, everything else is text."""
    told = {**body, **errand.options}
    content_type, spelled = multipart(
        ((name, dialect.form_text(value)) for name, value in told.items()), _files(errand)
    )
    return HttpRequest("POST", path, {"content-type": content_type, "accept": "application/json"}, spelled)


def is_all_bytes(errand: PictureErrand) -> bool:
    """Whether every picture of the caller's is there by its bytes, as a form needs it."""
    given = [*errand.input.images, *([errand.input.mask] if errand.input.HasField("mask") else ())]
    return all(blob.WhichOneof("source") == "data" for blob in given)


def reference(blob: content_pb2.Blob, path: str) -> dict[str, object]:
    """A picture of the caller's in JSON: a file that the provider has, or an address, which may hold the bytes."""
    if blob.WhichOneof("source") == "file_id":
        return {"file_id": blob.file_id}
    return {"image_url": pictures.address(blob, path)}


def _size(errand: PictureErrand, model: Model) -> str:
    return pictures.size_of_ratio(errand, model.sizes) if model.sizes else ""


def _response_format(errand: PictureErrand, model: Model) -> str:
    if model.says_format:
        return "url" if errand.input.as_uri else "b64_json"
    if errand.input.as_uri:
        errand.drop("as_uri", "this model always sends the bytes")
    return ""


def _files(errand: PictureErrand) -> Iterator[tuple[str, str, str, bytes]]:
    name = "image[]" if len(errand.input.images) > 1 else "image"
    for place, blob in enumerate(errand.input.images):
        yield (name, *_file(blob, f"image-{place}"))
    if errand.input.HasField("mask"):
        yield ("mask", *_file(errand.input.mask, "mask"))


def _file(blob: content_pb2.Blob, name: str) -> tuple[str, str, bytes]:
    kind = pictures.media_type(blob)
    return f"{name}.{kind.rpartition('/')[2]}", kind, blob.data
