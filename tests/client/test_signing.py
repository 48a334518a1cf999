"""The Python client with a key that signs, in place of a key that is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.signing import signer
from trunkline import AsyncTrunkline, InvalidRequest, NotAuthenticated, Trunkline
from trunkline.signing import SigningKey


def pem_of(key: SigningKey) -> str:
    return key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


async def test_both_clients_sign(gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await signer(gateway)
    pem, file = pem_of(key), tmp_path / "own.pem"
    file.write_text(pem)
    address = gateway.house.grpc_address
    async with AsyncTrunkline(address, key_id=key.key_id, signing_key=pem, user="ada") as client:
        assert (await client.chat("hi")).text == "hi"
        assert [piece async for piece in client.stream("hi")] == ["hi"]
        assert await client.models()
        with pytest.raises(InvalidRequest, match="cannot be signed"):
            await client.files.upload(b"hello", name="a.txt")
    async with AsyncTrunkline(address, key_id="x" * 12, signing_key=file) as stranger:
        with pytest.raises(NotAuthenticated):
            await stranger.chat("hi")

    def ask(client: Trunkline) -> str:
        with client:
            return client.chat("hi").text + "".join(client.stream("ho"))

    assert await asyncio.to_thread(ask, Trunkline(address, key_id=key.key_id, signing_key=file)) == "hiho"
    for name, value in {"KEY_ID": key.key_id, "SIGNING_KEY": str(file), "API_KEY": "none"}.items():
        monkeypatch.setenv(f"TRUNKLINE_{name}", value)
    assert await asyncio.to_thread(ask, Trunkline(address)) == "hiho"
    assert await asyncio.to_thread(ask, Trunkline(address, key=gateway.key)) == "hiho", "what is said counts first"


def test_what_cannot_sign_is_told_at_once() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for given in (
        {"key_id": "x"},
        {"key_id": "x", "signing_key": "-----BEGIN"},
        {"key_id": "x", "signing_key": other.decode()},
        {"key": "tl_", "key_id": "x", "signing_key": other.decode()},
    ):
        with pytest.raises(ValueError, match=r".+"):
            Trunkline("localhost:1", **given)  # type: ignore[arg-type]
