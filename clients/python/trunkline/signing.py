"""Calls that are signed, for keys without a secret: HTTP Message Signatures (RFC 9421) by Ed25519, anew for each call.

Needs `cryptography`: `pip install trunkline[signing]`.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from trunkline.errors import InvalidRequest

Pairs: TypeAlias = Iterable[tuple[str, str | bytes]]
OF_OTHERS: Final = frozenset(("traceparent", "tracestate", "baggage"))
"""Whoever passes a call on may write these anew."""


@dataclass(frozen=True)
class SigningKey:
    """A private key; `key_id` is what the gateway calls its public half."""

    key_id: str
    private_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def read(cls, key_id: str, source: str | bytes | Path) -> Self:
        """From PEM, or a file of it. Raises ValueError for anything but an Ed25519 private key."""
        private_key = load_pem_private_key(_pem(source), None)
        if not key_id or not isinstance(private_key, Ed25519PrivateKey):
            raise ValueError("give the key's id and an Ed25519 private key in PEM")
        return cls(key_id, private_key)

    def sign(
        self,
        method: str,
        target: str,
        content: bytes,
        fields: Mapping[str, str] | None = None,
        *,
        created_s: int | None = None,
        nonce: str = "",
    ) -> dict[str, str]:
        """The fields to send along with a request. `target` is its path and query, `fields` those that it has already
        and that mean something to the gateway, in lower case.
        """
        path, _, query = target.partition("?")
        digest = f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"
        covered = {"@method": method, "@path": path} | ({"@query": f"?{query}"} if query else {})
        covered |= {"content-digest": digest} | {name: value.strip() for name, value in (fields or {}).items()}
        created, nonce = int(time.time()) if created_s is None else created_s, nonce or secrets.token_urlsafe(18)
        names = " ".join(f'"{name}"' for name in covered)
        params = f'({names});created={created};nonce="{nonce}";keyid="{self.key_id}";alg="ed25519"'
        lines = [f'"{name}": {value}' for name, value in covered.items()]
        base = "\n".join((*lines, f'"@signature-params": {params}'))
        signature = b64encode(self.private_key.sign(base.encode("ascii"))).decode()
        return {"content-digest": digest, "signature-input": f"sig={params}", "signature": f"sig=:{signature}:"}


class SignedChannel:
    """A channel of either kind that signs each call; the rest is as it was."""

    def __init__(self, channel: Any, key: SigningKey) -> None:
        self._channel = channel
        self._key = key

    def unary_unary(self, method: str, request_serializer: Any, response_deserializer: Any, **options: Any) -> Any:
        calls = self._channel.unary_unary(method, None, response_deserializer, **options)
        return _Signed(calls, method, request_serializer, self._key)

    def unary_stream(self, method: str, request_serializer: Any, response_deserializer: Any, **options: Any) -> Any:
        calls = self._channel.unary_stream(method, None, response_deserializer, **options)
        return _Signed(calls, method, request_serializer, self._key)

    def stream_unary(self, *_args: Any, **_options: Any) -> Any:
        return _unsigned

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


@dataclass(frozen=True)
class _Signed:
    """One method of a stub. What is signed are the bytes that are sent, so they are made here."""

    calls: Any
    method: str
    serialize: Callable[[Any], bytes]
    key: SigningKey

    def __call__(self, request: Any, *, metadata: Pairs | None = None, **options: Any) -> Any:
        data, signed = self._sealed(request, metadata)
        return self.calls(data, metadata=signed, **options)

    def with_call(self, request: Any, *, metadata: Pairs | None = None, **options: Any) -> Any:
        data, signed = self._sealed(request, metadata)
        return self.calls.with_call(data, metadata=signed, **options)

    def future(self, request: Any, *, metadata: Pairs | None = None, **options: Any) -> Any:
        data, signed = self._sealed(request, metadata)
        return self.calls.future(data, metadata=signed, **options)

    def _sealed(self, request: Any, metadata: Pairs | None) -> tuple[bytes, tuple[tuple[str, str | bytes], ...]]:
        data, given = self.serialize(request), tuple(metadata or ())
        fields = {name: value for name, value in given if isinstance(value, str) and name not in OF_OTHERS}
        signed = self.key.sign("POST", self.method, b"\0" + len(data).to_bytes(4) + data, fields)
        return data, (*given, *signed.items())


def _unsigned(*_args: object, **_options: object) -> NoReturn:
    raise InvalidRequest(
        "what is sent in pieces cannot be signed: send it in one, over HTTP, or with a key that has a secret"
    )


def _pem(source: str | bytes | Path) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str) and source.lstrip().startswith("-----BEGIN"):
        return source.encode()
    return Path(source).expanduser().read_bytes()
