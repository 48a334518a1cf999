"""Bodies with files: any parser must read what went in, whatever was put in."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline_server.wire.multipart import multipart

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
AWKWARD = 'a"\r\ncontent-type: text/html\r\n\r\n<b>\0'


def parts(content_type: str, body: bytes) -> list[Any]:
    head = f"content-type: {content_type}\r\n\r\n".encode()
    return list(BytesParser(policy=policy.HTTP).parsebytes(head + body).iter_parts())


def test_fields_and_files_are_read_back() -> None:
    body = multipart([("model", "whisper-1"), ("prompt", "grüße")], [("file", "a.wav", "audio/wav", b"RIFF\r\n\x00")])
    model, prompt, file = parts(*body)
    assert [part.get_param("name", header="content-disposition") for part in (model, prompt, file)] == [
        "model",
        "prompt",
        "file",
    ]
    assert prompt.get_payload(decode=True) == "grüße".encode()
    assert file.get_filename() == "a.wav"
    assert file.get_content_type() == "audio/wav"
    assert file.get_payload(decode=True) == b"RIFF\r\n\x00"


def test_names_cannot_add_headers_or_parts() -> None:
    content_type, body = multipart([(AWKWARD, "x")], [(AWKWARD, AWKWARD, "audio/wav\r\nx-evil: 1", b"y")])
    heads = [piece.partition(b"\r\n\r\n")[0] for piece in body.split(content_type.partition("=")[2].encode())]
    assert len(heads) == 4
    assert [head.count(b"\r\n") for head in heads[1:3]] == [1, 2]
    assert heads[2].endswith(b"content-type: application/octet-stream")


def test_a_media_type_keeps_its_parameters() -> None:
    _, body = multipart([], [("file", "a.pcm", "audio/L16; rate=24000", b"")])
    assert b"content-type: audio/L16; rate=24000\r\n" in body


def test_content_cannot_end_its_part() -> None:
    content_type, _ = multipart([("model", "cheap")], [("file", "a", "audio/wav", b"")])
    boundary = content_type.partition("=")[2].encode()
    forged = b'\r\n--%b\r\ncontent-disposition: form-data; name="model"\r\n\r\ndear' % boundary
    again, body = multipart([("model", "cheap")], [("file", "a", "audio/wav", forged)])
    assert boundary not in again.encode()
    assert [part.get_param("name", header="content-disposition") for part in parts(again, body)] == ["model", "file"]


@unhurried
@given(st.lists(st.tuples(st.text(max_size=9), st.text())), st.binary())
def test_the_same_content_gives_the_same_body(fields: list[tuple[str, str]], content: bytes) -> None:
    files = [("file", "a.bin", "audio/wav", content)]
    content_type, body = multipart(fields, files)
    assert (content_type, body) == multipart(fields, files)
    assert body.count(content_type.partition("=")[2].encode()) == len(fields) + 2
