"""Forms with files in them (multipart/form-data, RFC 7578), as browsers and SDKs send them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from trunkline_server.core.errors import Reason, TrunklineError

PARTS_MAX: Final = 128
HEAD_BYTES_MAX: Final = 8 * 1024

_BOUNDARY: Final = re.compile(r'multipart/form-data;.*?\bboundary="?([^";,\s]{1,70})', re.IGNORECASE)
_NAME: Final = re.compile(r'(?:^|[;\s])name="([^"]*)"', re.IGNORECASE)
_FILENAME: Final = re.compile(r'(?:^|[;\s])filename="([^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """`media_type` as its sender says it; empty where they do not."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds, by the names of its fields, in order. `images[]` is called `images` here."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[File]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The first text of that name; empty where there is none."""
        return self.texts.get(name, [""])[0]

    def all_files(self, *names: str) -> Sequence[File]:
        """The files of these names."""
        return [file for name in names for file in self.files.get(name, ())]


def form_of(content_type: str, body: bytes) -> Form:
    """Raises MALFORMED_MESSAGE."""
    boundary = _BOUNDARY.match(content_type)
    if boundary is None or not boundary[1].isascii():
        raise _malformed("the body is not a form: it must be multipart/form-data with a boundary")
    form = Form()
    for head, data in _parts(body, b"--" + boundary[1].encode()):
        name = _NAME.search(head)
        if name is None:
            raise _malformed("a part of the form has no name")
        _add(form, name[1].removesuffix("[]"), head, data)
    return form


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[str, bytes]]:
    """Head and content of each part."""
    line, at = b"\r\n" + delimiter, len(delimiter)
    if not body.startswith(delimiter):
        at = body.find(line) + len(line)
        if at < len(line):
            raise _malformed("the form does not begin with its boundary")
    for _ in range(PARTS_MAX):
        if body.startswith(b"--", at):
            return
        end = body.find(line, at)
        middle = body.find(b"\r\n\r\n", at, at + HEAD_BYTES_MAX)
        if end < 0 or not at <= middle < end:
            raise _malformed("the form is cut off")
        yield body[at:middle].decode(errors="replace"), body[middle + 4 : end]
        at = end + len(line)
    raise _malformed(f"the form has over {PARTS_MAX} parts")


def _add(form: Form, name: str, head: str, data: bytes) -> None:
    filename = _FILENAME.search(head)
    if filename is not None:
        form.files.setdefault(name, []).append(File(filename[1], _media_type(head), data))
        return
    try:
        form.texts.setdefault(name, []).append(data.decode())
    except UnicodeDecodeError:
        raise _malformed("a field of the form is not UTF-8") from None


def _media_type(head: str) -> str:
    for line in head.split("\r\n"):
        label, _, value = line.partition(":")
        if label.strip().lower() == "content-type":
            return value.strip()
    return ""


def _malformed(message: str) -> TrunklineError:
    return TrunklineError(Reason.MALFORMED_MESSAGE, message)
