"""Files that go with a question: they become parts of its last message by the user, as which they can be read."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.core.text import readable
from trunkline_server.store.files import FileRow, Files

KINDS: Final = ("image", "audio")
"""What is shown as such; all else is a document."""


async def attached(files: Files, tenant_id: UUID, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
    """The question with its files in their place. Raises RESOURCE_NOT_FOUND."""
    whole = chat_pb2.ChatInput()
    whole.CopyFrom(input)
    whole.ClearField("file_ids")
    last = next((each for each in reversed(whole.messages) if each.role == content_pb2.ROLE_USER), None)
    if last is None:
        raise invalid("input.file_ids", "need a message of the user to go with")
    for file_id in input.file_ids:
        last.parts.append(_part(await files.find(tenant_id, readable("input.file_ids", file_id))))
    return whole


def is_shown(file: FileRow) -> bool:
    """It is no document."""
    return _kind(file) in KINDS


def _part(file: FileRow) -> content_pb2.Part:
    part, blob = content_pb2.Part(), content_pb2.Blob(file_id=file.name)
    if is_shown(file):
        getattr(part, _kind(file)).blob.CopyFrom(blob)
    else:
        part.document.blob.CopyFrom(blob)
    return part


def _kind(file: FileRow) -> str:
    return file.spec.media_type.partition("/")[0]
