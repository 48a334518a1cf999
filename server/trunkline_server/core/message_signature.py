"""HTTP Message Signatures (RFC 9421) as callers use them: one signature by Ed25519 over what a request says.

Only the canonical spelling is read, without parameters of components, so what was sent is part of the signed text as it
is.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

INPUT_CHARS_MAX: Final = 4096
_LABEL: Final = r"[a-z*][a-z0-9_.*-]{0,63}"
_COMPONENT: Final = r'"@?[a-z0-9!#$%&\'*+.^_`|~-]+"'
_PARAM: Final = r';(?:(?:created|expires)=[0-9]{1,11}|(?:nonce|keyid|alg|tag)="[ !#-\[\]-~]{1,128}")'
_NAMED: Final = re.compile(r';([a-z]+)=(?:([0-9]+)|"([^"]*)")')
_INPUT: Final = re.compile(rf"({_LABEL})=(\(((?:{_COMPONENT}(?: {_COMPONENT})*)?)\)((?:{_PARAM})*))")
_SIGNATURE: Final = re.compile(rf"({_LABEL})=:([A-Za-z0-9+/]{{86}}==):")
_SHA256: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_PRIME: Final = 2**255 - 19
_ORDER_8: Final = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
_WEAK: Final = frozenset(
    (
        *(each.to_bytes(32, "little") for each in (0, 1, _PRIME - 1, _PRIME, _PRIME + 1)),
        bytes.fromhex(_ORDER_8),
        (_PRIME - int.from_bytes(bytes.fromhex(_ORDER_8), "little")).to_bytes(32, "little"),
    )
)


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature that nobody has verified yet."""

    components: tuple[str, ...]
    params: Mapping[str, str]
    spelled: str
    """Both of them, as they were signed."""
    signature: bytes = field(repr=False)

    @classmethod
    def read(cls, signature_input: str, signature: str) -> Self:
        """From the fields of these names. Raises ValueError where they hold anything but one signature."""
        found, spelled = _INPUT.fullmatch(signature_input[: INPUT_CHARS_MAX + 1]), _SIGNATURE.fullmatch(signature)
        if found is None or spelled is None or found[1] != spelled[1] or len(signature_input) > INPUT_CHARS_MAX:
            raise ValueError("not one signature")
        components = tuple(each.strip('"') for each in found[3].split())
        params = [(each[1], each[2] or each[3]) for each in _NAMED.finditer(found[4])]
        if len({*components}) < len(components) or len(dict(params)) < len(params):
            raise ValueError("something is said twice")
        return cls(components, dict(params), found[2], b64decode(spelled[2]))

    def base(self, value_of: Callable[[str], str]) -> bytes:
        """What was signed, where the components have these values. Raises ValueError for what is not ASCII."""
        lines = [f'"{name}": {value_of(name)}' for name in self.components]
        return "\n".join((*lines, f'"@signature-params": {self.spelled}')).encode("ascii")


def is_by(keys: Iterable[bytes], signature: bytes, base: bytes) -> bool:
    """Whether one of these public keys has signed it."""
    return any(_is_by(key, signature, base) for key in keys)


def is_weak(key: bytes) -> bool:
    """Whether anybody could sign for this public key: it is one of the few points whose multiples are few."""
    return key[:31] + bytes((key[31] & 0x7F,)) in _WEAK


def sha256_of(content_digest: str) -> bytes | None:
    """What a `content-digest` (RFC 9530) says; None where it says no SHA-256, or several."""
    found = [each for part in content_digest.split(",") if (each := _SHA256.fullmatch(part.strip()))]
    return b64decode(found[0][1]) if len(found) == 1 else None


def _is_by(key: bytes, signature: bytes, base: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, base)
    except InvalidSignature:
        return False
    return True
