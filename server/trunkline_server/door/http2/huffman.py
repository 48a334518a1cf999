"""The Huffman code of header strings (RFC 7541, appendix B), read four bits at a step.

The code is canonical: the length of each symbol's code is all there is to know.
"""

from __future__ import annotations

from typing import Final

_LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c"
    "060a0a0c0d06080b0a0a080b080606060505050606060606060607080f060c0a"
    "0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c"
    "1416141416161617161717171717181718181617181717171715161716171718"
    "1615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b"
    "14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
    "1e"
)
_END: Final = 256
_DEAD: Final = 256
"""The state after the end symbol, which nobody may send."""
_PADDING_BITS_MAX: Final = 7


class HuffmanError(ValueError):
    """The string is not of this code."""


def decode(data: bytes) -> bytes:
    """The string. Raises HuffmanError."""
    state, out = 0, bytearray()
    for byte in data:
        state, symbol = _STEPS[state << 4 | byte >> 4]
        if symbol is not None:
            out.append(symbol)
        state, symbol = _STEPS[state << 4 | byte & 15]
        if symbol is not None:
            out.append(symbol)
    if state not in _ENDS:
        raise HuffmanError("the string does not end where it may")
    return bytes(out)


def _symbols() -> dict[str, int]:
    """Each symbol by the bits of its code."""
    code, length, found = 0, 0, {}
    for symbol in sorted(range(len(_LENGTHS)), key=lambda each: (_LENGTHS[each], each)):
        code <<= _LENGTHS[symbol] - length
        length = _LENGTHS[symbol]
        found[f"{code:0{length}b}"] = symbol
        code += 1
    return found


def _machine() -> tuple[list[tuple[int, int | None]], frozenset[int]]:
    """Where four bits lead from each state and what they spell, and the states in which a string may end."""
    symbols = _symbols()
    prefixes = sorted(
        {bits[:length] for bits in symbols for length in range(len(bits))}, key=lambda bits: (len(bits), bits)
    )
    states = {bits: number for number, bits in enumerate(prefixes)}
    steps = [_step(symbols, states, bits + f"{four:04b}", len(bits)) for bits in prefixes for four in range(16)]
    ends = frozenset(number for bits, number in states.items() if "0" not in bits and len(bits) <= _PADDING_BITS_MAX)
    return steps + [(_DEAD, None)] * 16, ends


def _step(symbols: dict[str, int], states: dict[str, int], bits: str, seen: int) -> tuple[int, int | None]:
    for length in range(seen + 1, len(bits) + 1):
        symbol = symbols.get(bits[:length])
        if symbol is not None:
            return (_DEAD, None) if symbol == _END else (states[bits[length:]], symbol)
    return states[bits], None


_STEPS, _ENDS = _machine()
