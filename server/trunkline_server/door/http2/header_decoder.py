"""Reads header blocks (HPACK, RFC 7541). One decoder per connection: what was said before has a number afterwards."""

from __future__ import annotations

from typing import Final

from trunkline_server.door.http2 import huffman
from trunkline_server.door.http2.frames import Error, Fault
from trunkline_server.door.http2.header_table import STATIC, Field

TABLE_BYTES_MAX: Final = 4096
_FIELD_BYTES: Final = 32
"""What each field counts beside its letters."""
_INTEGER_BITS_MAX: Final = 28
_TOO_LARGE_BY_FAR: Final = 16
"""A list that is so many times what it may be is an attack, and not read to its end."""


class HeadersTooLarge(Exception):
    """More than may be said. The block was read to its end, so the connection can go on."""


class HeaderDecoder:
    """`generation` changes whenever a number gets another meaning."""

    def __init__(self, list_bytes_max: int) -> None:
        self._list_bytes_max = list_bytes_max
        self._table: list[Field] = []
        self._table_bytes = 0
        self._table_bytes_max = TABLE_BYTES_MAX
        self.generation = 0

    def decode(self, block: bytes) -> list[Field]:
        """The fields in order. Raises Fault or HeadersTooLarge."""
        try:
            return self._decode(block)
        except (IndexError, huffman.HuffmanError) as error:
            raise _broken("a header block ends early, or names what is not there") from error

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        position, size, end = 0, 0, len(block)
        while position < end:
            first = block[position]
            if first & 0x80:
                number, position = _integer(block, position, 0x7F)
                field = self._known(number)
            elif first & 0x40:
                field, position = self._literal(block, position, 0x3F)
                self._remember(field)
            elif first & 0x20:
                position = self._resize(block, position, first_in_block=not fields)
                continue
            else:
                field, position = self._literal(block, position, 0x0F)
            size += len(field[0]) + len(field[1]) + _FIELD_BYTES
            if size <= self._list_bytes_max:
                fields.append(field)
            elif size > self._list_bytes_max * _TOO_LARGE_BY_FAR:
                raise Fault(Error.ENHANCE_YOUR_CALM, "header fields without an end")
        if size > self._list_bytes_max:
            raise HeadersTooLarge
        return fields

    def _known(self, number: int) -> Field:
        if number > len(STATIC):
            return self._table[number - len(STATIC) - 1]
        if number == 0:
            raise _broken("a header field has the number 0")
        return STATIC[number - 1]

    def _literal(self, block: bytes, position: int, mask: int) -> tuple[Field, int]:
        number, position = _integer(block, position, mask)
        if number:
            name = self._known(number)[0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return (name, value), position

    def _remember(self, field: Field) -> None:
        self.generation += 1
        self._table.insert(0, field)
        self._table_bytes += len(field[0]) + len(field[1]) + _FIELD_BYTES
        self._evict()

    def _resize(self, block: bytes, position: int, *, first_in_block: bool) -> int:
        size, position = _integer(block, position, 0x1F)
        if size > TABLE_BYTES_MAX or not first_in_block:
            raise _broken("the header table changes its size where it may not")
        self._table_bytes_max = size
        self.generation += 1
        self._evict()
        return position

    def _evict(self) -> None:
        while self._table_bytes > self._table_bytes_max:
            name, value = self._table.pop()
            self._table_bytes -= len(name) + len(value) + _FIELD_BYTES


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """A number that begins in the lower bits of an octet, and what comes after it."""
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    for shift in range(0, _INTEGER_BITS_MAX, 7):
        octet = block[position]
        position += 1
        value += (octet & 0x7F) << shift
        if octet < 0x80:
            return value, position
    raise _broken("a number in a header block is too large")


def _string(block: bytes, position: int) -> tuple[str, int]:
    """Octets become the letters of the same numbers; whether they are text is for others to judge."""
    coded = block[position] & 0x80
    length, position = _integer(block, position, 0x7F)
    end = position + length
    if end > len(block):
        raise _broken("a header block ends within a string")
    octets = block[position:end]
    return (huffman.decode(octets) if coded else octets).decode("latin-1"), end


def _broken(why: str) -> Fault:
    return Fault(Error.COMPRESSION_ERROR, why)
