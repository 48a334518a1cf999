"""Key pairs for requests that are signed: made, written and read, in PEM."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from trunkline.signing import SignedChannel, SigningKey
from trunkline_server.cli.failure import Misuse


def signed(channel: grpc.Channel, key_id: str | None, file: Path | None) -> grpc.Channel:
    """The channel, each of whose calls is signed. Raises Misuse."""
    if not (key_id and file):
        raise Misuse("--sign-as and --signing-key: give both or none")
    return cast("grpc.Channel", SignedChannel(channel, _signing_key(key_id, file)))


def _signing_key(key_id: str, file: Path) -> SigningKey:
    try:
        return SigningKey.read(key_id, file)
    except OSError as error:
        raise Misuse(f"--signing-key: {file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise Misuse(f"--signing-key: {file} is no Ed25519 private key in PEM without a password") from None


def public_key(file: Path) -> bytes:
    """The 32 bytes of it. Raises Misuse."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise Misuse(f"--public-key: {file} cannot be read: {error.strerror}") from None
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Misuse(f"--public-key: {file} is no Ed25519 public key in PEM")
    return key.public_bytes_raw()


def make_pair(file: Path) -> str:
    """Writes a new private key where there is no file yet, for its owner's eyes; the public key. Raises Misuse."""
    private = Ed25519PrivateKey.generate()
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except OSError as error:
        raise Misuse(f"{file} cannot be written: {error.strerror}") from None
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
