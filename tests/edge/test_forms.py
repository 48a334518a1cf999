"""Forms with files: read as they are sent, refused where they are none."""

from __future__ import annotations

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.edge.forms import PARTS_MAX, File, form_of
from trunkline_server.wire.multipart import multipart

HEAD = "multipart/form-data; boundary=x"


def part(head: str, content: bytes = b"content") -> bytes:
    return b"--x\r\ncontent-disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def test_what_we_send_we_can_read() -> None:
    data = bytes(range(256)) + b"\r\n--x\r\n\r\n"
    sent = multipart(
        [("model", "m"), ("prompt", "one\r\ntwo"), ("tags[]", "a"), ("tags[]", "ü")],
        [("file", "a.wav", "audio/wav", data)],
    )
    form = form_of(*sent)
    assert (form.text("model"), form.text("prompt"), form.text("nothing")) == ("m", "one\r\ntwo", "")
    assert form.texts["tags"] == ["a", "ü"]
    assert form.all_files("file", "other") == [File("a.wav", "audio/wav", data)]


def test_what_stands_before_and_after_is_passed_over() -> None:
    body = b"hello\r\n" + part('name="a"') + b"--x--\r\nbye"
    assert form_of('multipart/form-data; charset=utf-8; boundary="x"', body).texts == {"a": ["content"]}


def test_a_file_without_a_name_or_a_type() -> None:
    form = form_of(HEAD, part('filename=""; name="file"', b"") + b"--x--")
    assert form.all_files("file") == [File("", "", b"")]


def test_an_empty_form() -> None:
    assert form_of(HEAD, b"--x--\r\n").texts == {}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", part('name="a"')),
        (HEAD, b""),
        (HEAD, b"no form"),
        (HEAD, part('name="a"')),
        (HEAD, part('name="a"')[:30]),
        (HEAD, b"--x\r\n\r\n--x--"),
        (HEAD, part('filename="a"') + b"--x--"),
        (HEAD, part('name="a"', b"\xff") + b"--x--"),
        (HEAD, part('name="a"') * (PARTS_MAX + 1) + b"--x--"),
        (HEAD, b"--x\r\n" + b"a" * 10_000 + b"\r\n\r\n\r\n--x--"),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(TrunklineError) as caught:
        form_of(content_type, body)
    assert caught.value.reason == Reason.MALFORMED_MESSAGE
