"""RFC 9421 as we read it: its own example, what is no signature, and public keys that are worth nothing."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trunkline_server.core.message_signature import (
    _WEAK,
    INPUT_CHARS_MAX,
    MessageSignature,
    is_by,
    is_weak,
    sha256_of,
)

KEY: Final = urlsafe_b64decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs=")
"""The RFC's `test-key-ed25519` (B.1.4)."""
SPELLED: Final = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
SIGNATURE: Final = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
VALUES: Final = {
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "@method": "POST",
    "@path": "/foo",
    "@authority": "example.com",
    "content-type": "application/json",
    "content-length": "18",
}


def test_the_example_of_the_rfc() -> None:
    """B.2.6."""
    read = MessageSignature.read(f"sig-b26={SPELLED}", f"sig-b26=:{SIGNATURE}:")
    assert read.components == tuple(VALUES)
    assert read.params == {"created": "1618884473", "keyid": "test-key-ed25519"}
    assert is_by([KEY], read.signature, read.base(VALUES.__getitem__))
    assert not is_by([KEY], read.signature, read.base(lambda name: VALUES[name] + " "))
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert not is_by([other], read.signature, read.base(VALUES.__getitem__))


def test_a_word_in_quotes_may_look_like_more_words() -> None:
    read = MessageSignature.read('s=();nonce=";created=1;a=b, c";keyid="k"', f"s=:{SIGNATURE}:")
    assert (read.components, read.params) == ((), {"nonce": ";created=1;a=b, c", "keyid": "k"})


@pytest.mark.parametrize(
    "spelled",
    [
        "",
        "sig",
        "sig=",
        "sig=()" + ";created=1" * 2,
        'sig=("@method" "@method")',
        'sig=("@method"  "@path")',
        'sig=( "@method")',
        'sig=("@method");created="1"',
        'sig=("@method");created=-1',
        'sig=("@method");created=' + "1" * 12,
        'sig=("@method");keyid=k',
        'sig=("@method");keyid="\\""',
        'sig=("@method");keyid="k',
        'sig=("@method";req)',
        'sig=("cookie";key="a")',
        'sig=("Date")',
        'sig=("@method");unknown="x"',
        'sig=("@method"), other=("@path")',
        'other=("@method")',
        'sig=("@method")\n',
        "sig=(" + '"a" ' * INPUT_CHARS_MAX,
        'sig=("' + "a" * INPUT_CHARS_MAX + '")',
        "\0" * 64,
        "\u00e9" * 64,
    ],
)
def test_what_is_not_one_canonical_signature_is_not_read(spelled: str) -> None:
    with pytest.raises(ValueError, match=r"not one signature|said twice"):
        MessageSignature.read(spelled, f"sig=:{SIGNATURE}:")


@pytest.mark.parametrize(
    "signature", ["", "sig", "sig=::", f"sig={SIGNATURE}", f"sig=:{SIGNATURE[:-4]}:", f"x=:{SIGNATURE}:"]
)
def test_a_signature_has_64_bytes_and_the_name_of_its_input(signature: str) -> None:
    with pytest.raises(ValueError, match="not one signature"):
        MessageSignature.read("sig=()", signature)


def test_a_digest_of_another_kind_may_stand_beside_ours() -> None:
    ours = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
    for told in (ours, f"{ours}, md5=:aaaa:", f"sha-512=:aaaa:,{ours}"):
        digest = sha256_of(told)
        assert digest is not None
        assert digest.hex().startswith("5f8f04f6a3a892aaabbddb6c")
    assert [sha256_of(told) for told in ("", f"{ours}, {ours}", f"x-{ours}", "sha-256=:eA==:")] == [None] * 4


def test_anybody_can_sign_for_a_weak_key() -> None:
    """A point with few multiples: of few signatures one fits, without any private key."""
    points = [bytes((*each[:31], each[31] | sign)) for each in _WEAK for sign in (0, 0x80)]
    for key in _WEAK:
        forged = (is_by([key], point + bytes(32), str(number).encode()) for number in range(64) for point in points)
        assert any(forged)
        assert is_weak(key)
        assert is_weak(bytes((*key[:31], key[31] | 0x80)))
    assert not is_weak(KEY)
