"""Header blocks: the examples of RFC 7541, and what decoding does with any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.raw_http2 import fields
from trunkline_server.door.http2 import huffman
from trunkline_server.door.http2.frames import Fault
from trunkline_server.door.http2.head import Head, HeadReader, Malformed
from trunkline_server.door.http2.header_decoder import HeaderDecoder, HeadersTooLarge

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")]
SECURE = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
]
PLAIN = ["828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865"]
PLAIN += ["828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"]
CODED = ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf"]
CODED += ["828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"]


@pytest.mark.parametrize("blocks", [PLAIN, CODED], ids=["C.3", "C.4"])
def test_the_examples_of_the_rfc(blocks: list[str]) -> None:
    decoder = HeaderDecoder(16_384)
    heard = [decoder.decode(bytes.fromhex(block)) for block in blocks]
    assert heard == [GET, [*GET, ("cache-control", "no-cache")], SECURE]


def test_every_letter_is_read_from_its_code() -> None:
    for symbol, bits in ((symbol, bits) for bits, symbol in huffman._symbols().items() if symbol < 256):
        padded = bits + "1" * (-len(bits) % 8)
        assert huffman.decode(int(padded, 2).to_bytes(len(padded) // 8)) == bytes([symbol])


@given(st.binary(max_size=200))
def test_what_is_coded_is_read_again(data: bytes) -> None:
    codes = {symbol: bits for bits, symbol in huffman._symbols().items()}
    bits = "".join(codes[byte] for byte in data)
    padded = bits + "1" * (-len(bits) % 8)
    assert huffman.decode(int(padded or "0", 2).to_bytes(len(padded) // 8)) == data


@pytest.mark.parametrize("coded", ["00", "ff", "fe", "f8ff", "ffffffff", "1c64ff"])
def test_codes_that_end_where_they_may_not(coded: str) -> None:
    with pytest.raises(huffman.HuffmanError):
        huffman.decode(bytes.fromhex(coded))


def literal(name: str, value: str) -> bytes:
    """Said so that it has a number afterwards."""
    return b"\x40" + fields((name.encode(), value.encode()))[1:]


def test_what_no_longer_fits_is_forgotten() -> None:
    decoder = HeaderDecoder(16_384)
    decoder.decode(literal("a", "x" * 2000) + literal("b", "y" * 1900))
    assert [name for name, _ in decoder.decode(b"\xbe\xbf")] == ["b", "a"]
    decoder.decode(literal("c", "z" * 1000))
    assert [name for name, _ in decoder.decode(b"\xbe\xbf")] == ["c", "b"]
    with pytest.raises(Fault):
        decoder.decode(b"\xc0")
    decoder.decode(b"\x20")
    with pytest.raises(Fault):
        decoder.decode(b"\xbe")


def test_a_field_larger_than_the_table_empties_it() -> None:
    decoder = HeaderDecoder(16_384)
    decoder.decode(literal("a", "x"))
    assert decoder.decode(literal("b", "y" * 5000)) == [("b", "y" * 5000)]
    with pytest.raises(Fault):
        decoder.decode(b"\xbe")


def test_too_many_fields_leave_the_numbers_right() -> None:
    decoder = HeaderDecoder(1000)
    with pytest.raises(HeadersTooLarge):
        decoder.decode(literal("a", "1") + b"\xbe" * 200 + literal("b", "2"))
    assert decoder.decode(b"\xbe\xbf") == [("b", "2"), ("a", "1")]


def test_sizes_change_at_the_beginning_alone() -> None:
    HeaderDecoder(1000).decode(b"\x20\x3f\xe1\x1f\x82")
    with pytest.raises(Fault):
        HeaderDecoder(1000).decode(b"\x82\x20")


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_fields_or_a_fault(blocks: list[bytes]) -> None:
    decoder = HeaderDecoder(500)
    for block in blocks:
        try:
            decoder.decode(block)
        except HeadersTooLarge:
            continue
        except Fault:
            return


def head(*pairs: tuple[bytes, bytes]) -> bytes:
    return fields((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), *pairs)


def read(reader: HeadReader, *pairs: tuple[bytes, bytes]) -> Head:
    return reader.read(head((b"content-type", b"application/grpc"), *pairs))


def test_a_block_that_was_read_is_known() -> None:
    reader = HeadReader(16_384)
    assert read(reader, (b"x-a", b"1")) is read(reader, (b"x-a", b"1"))
    assert read(reader, (b"x-a", b"2")).metadata == (("x-a", "2"),)


def test_a_number_with_another_meaning_is_read_anew() -> None:
    reader = HeadReader(16_384)
    whole = head((b"content-type", b"application/grpc"))
    reader.read(whole + literal("x-a", "1"))
    assert reader.read(whole + b"\xbe").metadata == (("x-a", "1"),)
    assert reader.read(whole + b"\xbe").metadata == (("x-a", "1"),)
    reader.read(whole + literal("x-b", "2"))
    assert reader.read(whole + b"\xbe").metadata == (("x-b", "2"),)


def test_what_is_skipped_changes_numbers_too() -> None:
    reader = HeadReader(16_384)
    whole = head((b"content-type", b"application/grpc"))
    reader.read(whole + literal("x-a", "1"))
    assert reader.read(whole + b"\xbe").metadata == (("x-a", "1"),)
    reader.skip(literal("x-b", "2"))
    assert reader.read(whole + b"\xbe").metadata == (("x-b", "2"),)


def test_a_malformed_head_changes_numbers_too() -> None:
    reader = HeadReader(16_384)
    whole = head((b"content-type", b"application/grpc"))
    reader.read(whole + literal("x-a", "1"))
    assert reader.read(whole + b"\xbe").metadata == (("x-a", "1"),)
    with pytest.raises(Malformed):
        reader.read(literal("x-b", "2"))
    assert reader.read(whole + b"\xbe").metadata == (("x-b", "2"),)


@pytest.mark.parametrize(
    ("text", "timeout_s"), [("1S", 1), ("20m", 0.02), ("3H", 10_800), ("2M", 120), ("5u", 5e-6), ("7n", 7e-9)]
)
def test_deadlines(text: str, timeout_s: float) -> None:
    told = read(HeadReader(16_384), (b"grpc-timeout", text.encode())).timeout_s
    assert told == pytest.approx(timeout_s)
