"""Where work names what a provider keeps by an id of the provider's: files, stores, containers, caches.

In an account that tenants share, such an id can be another tenant's. What is found here may only go to an account of
the tenant's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import ids
from trunkline_server.core.blobs import blobs_of
from trunkline_server.core.errand import Input
from trunkline_server.core.options import plain
from trunkline_server.core.question import blob_of

_CONTAINER: Final = "container"
_NAMES: Final = """
    file_id file_ids container container_id vector_store_id vector_store_ids file_search_store_names library_ids
    collection_ids knowledge_id knowledge_base_id knowledge_base_ids datastore
"""
_NEVER_TOLD: Final = frozenset(map(plain, ("file_uri", "file_uris", "cached_content")))
"""What no answer has. The others may stand in what a model said: what its tools made goes back by these names."""
_KEPT: Final = _NEVER_TOLD | frozenset(map(plain, _NAMES.split()))
_SEARCHED: Final = ("file_search", plain("vector_store_ids"))
"""A tool whose ids are ours: they were read before, and stand there as the provider calls them."""
_MEDIA: Final = frozenset(("image", "audio", "video", "document"))


def provider_id(input: Input, provider: str) -> str:
    """The path of the first such id that would go to this provider; empty where there is none."""
    options = input.provider_options_json
    if provider in options and _names_kept(orjson.loads(options[provider]), _KEPT):
        return f"input.provider_options_json[{provider!r}]"
    if isinstance(input, chat_pb2.ChatInput):
        return _in_messages(input.messages, provider) or _in_tools(input.tools, provider)
    return next((f"input.{path}" for blob, _, path in blobs_of(input) if _is_foreign(blob)), "")


def _in_messages(messages: Iterable[content_pb2.Message], provider: str) -> str:
    """Runs on every call: words are passed over at once."""
    for index, message in enumerate(messages):
        for at, part in enumerate(message.parts):
            if not part.HasField("text") and _names(part, provider, message.role):
                return f"input.messages[{index}].parts[{at}]"
    return ""


def _names(part: content_pb2.Part, provider: str, role: content_pb2.Role.ValueType) -> bool:
    kind = part.WhichOneof("kind")
    if kind == "opaque":
        kept = _NEVER_TOLD if role == content_pb2.ROLE_ASSISTANT else _KEPT
        return part.opaque.provider == provider and _names_kept(orjson.loads(part.opaque.json), kept)
    if kind == "tool_result":
        return any(_names(told, provider, role) for told in part.tool_result.parts)
    return kind in _MEDIA and _is_foreign(blob_of(part))


def _in_tools(tools: Iterable[content_pb2.Tool], provider: str) -> str:
    for index, tool in enumerate(tools):
        hosted = tool.hosted
        if hosted.provider == provider and hosted.config_json and _names_kept(_config(hosted), _KEPT):
            return f"input.tools[{index}].hosted.config_json"
    return ""


def _config(hosted: content_pb2.HostedTool) -> Mapping[str, object]:
    config: Mapping[str, object] = orjson.loads(hosted.config_json)
    return {name: value for name, value in config.items() if (hosted.type, plain(name)) != _SEARCHED}


def _is_foreign(blob: content_pb2.Blob) -> bool:
    """A file by an id that is none of ours."""
    return blob.WhichOneof("source") == "file_id" and ids.parse("file", blob.file_id) is None


def _names_kept(value: object, kept: frozenset[str]) -> bool:
    """Level by level: how deep JSON is was judged before."""
    level = [value]
    while level:
        objects = [each for each in level if isinstance(each, dict)]
        if any(_is_id(name, told, kept) for each in objects for name, told in each.items()):
            return True
        level = [child for each in level for child in _children(each)]
    return False


def _is_id(name: str, value: object, kept: frozenset[str]) -> bool:
    """A container is named by its id, or described."""
    is_described = plain(name) == _CONTAINER and isinstance(value, dict) and "id" not in value
    return plain(name) in kept and bool(value) and not is_described


def _children(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
