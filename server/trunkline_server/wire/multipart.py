"""Bodies with files in them: multipart/form-data (RFC 7578), as browsers spell it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Field: TypeAlias = tuple[str, str]
"""Name and text."""
File: TypeAlias = tuple[str, str, str, bytes]
"""Name of the field, name of the file, media type, content."""

PLAIN: Final = "application/octet-stream"
MEDIA_TYPE: Final = re.compile(r"[\w.+!#$&^-]+/[\w.+!#$&^-]+(; ?[\w.+-]+=[\w.+-]+)*", re.ASCII)
ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A", "\0": "%00"})


def multipart(fields: Iterable[Field], files: Iterable[File]) -> tuple[str, bytes]:
    """The `content-type` and the body; fields first, for there are servers that want to know them before the file.

    The boundary is a digest of the content, so that the same content gives the same body, and nobody can write a text
    that holds its own boundary.
    """
    parts = [*map(_field, fields), *map(_file, files)]
    boundary = _boundary(parts)
    opening = b"--%b\r\n" % boundary
    pieces = [piece for head, content in parts for piece in (opening, head, content, b"\r\n")]
    return f"multipart/form-data; boundary={boundary.decode()}", b"".join((*pieces, b"--%b--\r\n" % boundary))


def _field(field: Field) -> tuple[bytes, bytes]:
    name, text = field
    return f'content-disposition: form-data; name="{name.translate(ESCAPES)}"\r\n\r\n'.encode(), text.encode()


def _file(file: File) -> tuple[bytes, bytes]:
    name, filename, media_type, content = file
    said = media_type if MEDIA_TYPE.fullmatch(media_type) else PLAIN
    quoted = f'name="{name.translate(ESCAPES)}"; filename="{filename.translate(ESCAPES)}"'
    return f"content-disposition: form-data; {quoted}\r\ncontent-type: {said}\r\n\r\n".encode(), content


def _boundary(parts: Iterable[tuple[bytes, bytes]]) -> bytes:
    digest = hashlib.sha256()
    for head, content in parts:
        digest.update(b"%d,%d;" % (len(head), len(content)))
        digest.update(head)
        digest.update(content)
    return b"trunkline-" + digest.hexdigest()[:48].encode()
