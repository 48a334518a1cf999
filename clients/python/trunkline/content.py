"""What is said: messages and their parts, from plain Python values."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from trunkline.media import Content
from trunkline.v1 import content_pb2, files_pb2

Source: TypeAlias = bytes | str | Path | files_pb2.File | Content
"""Bytes, an https address, the path of a file; a file that was uploaded, a picture that was made."""
Piece: TypeAlias = str | content_pb2.Part
Words: TypeAlias = Piece | Iterable[Piece]
"""What a message is made of: a text, a part, or several."""


def text(words: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words))


def image(source: Source, *, media_type: str = "") -> content_pb2.Part:
    return content_pb2.Part(image=content_pb2.ImagePart(blob=blob(source, media_type)))


def audio(source: Source, *, media_type: str = "") -> content_pb2.Part:
    return content_pb2.Part(audio=content_pb2.AudioPart(blob=blob(source, media_type)))


def document(source: Source, *, title: str = "", media_type: str = "") -> content_pb2.Part:
    return content_pb2.Part(document=content_pb2.DocumentPart(blob=blob(source, media_type), title=title))


def blob(source: Source, media_type: str = "") -> content_pb2.Blob:
    if isinstance(source, Content):
        return source.blob
    if isinstance(source, files_pb2.File):
        return content_pb2.Blob(file_id=source.file_id, media_type=media_type)
    if isinstance(source, bytes):
        return content_pb2.Blob(data=source, media_type=media_type)
    if isinstance(source, str) and "://" in source:
        return content_pb2.Blob(uri=source, media_type=media_type)
    path = Path(source)
    guessed = media_type or mimetypes.guess_type(path.name)[0] or ""
    return content_pb2.Blob(data=path.read_bytes(), media_type=guessed, filename=path.name)


def system(words: Words) -> content_pb2.Message:
    return message(content_pb2.ROLE_SYSTEM, words)


def developer(words: Words) -> content_pb2.Message:
    return message(content_pb2.ROLE_DEVELOPER, words)


def user(words: Words) -> content_pb2.Message:
    return message(content_pb2.ROLE_USER, words)


def assistant(words: Words) -> content_pb2.Message:
    return message(content_pb2.ROLE_ASSISTANT, words)


def message(role: content_pb2.Role.ValueType, words: Words) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=parts(words))


def parts(words: Words) -> list[content_pb2.Part]:
    pieces = [words] if isinstance(words, str | content_pb2.Part) else words
    return [text(piece) if isinstance(piece, str) else piece for piece in pieces]
