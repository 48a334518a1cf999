"""How to reach a gateway: encryption, keepalive, retries, who is calling."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import grpc

if TYPE_CHECKING:
    from trunkline.signing import SigningKey

ADDRESS: Final = "localhost:50051"
MODEL: Final = "sandbox/echo"
UNARY_TIMEOUT_S: Final = 120.0
STREAM_TIMEOUT_S: Final = 600.0
SHORT_TIMEOUT_S: Final = 30.0
Tls: TypeAlias = bool | grpc.ChannelCredentials | None
"""Whether to encrypt, and with what; `None`: wherever the gateway is on another machine."""
_KEEPALIVE_MS: Final = 30_000
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
_RECONNECT_MS: Final = 5_000
"""A replica that was restarted gets its calls back within that time; gRPC alone may wait for two minutes."""


@dataclass(frozen=True)
class Access:
    """Where a gateway is and what to send there."""

    address: str
    key: str
    user: str
    model: str
    credentials: grpc.ChannelCredentials | None
    timeout_s: float | None
    signer: SigningKey | None = None
    """Signs each call, in place of a key."""

    @classmethod
    def find(
        cls,
        address: str | None,
        *,
        key: str | None,
        user: str,
        model: str | None,
        tls: Tls,
        timeout_s: float | None,
        key_id: str | None = None,
        signing_key: str | Path | None = None,
    ) -> Self:
        """What was given, completed from the environment: the console reads the same variables."""
        found = address or os.environ.get("TRUNKLINE_ADDRESS") or ADDRESS
        signer = _signer(key, key_id, signing_key)
        return cls(
            address=found,
            key="" if signer else key if key is not None else os.environ.get("TRUNKLINE_API_KEY", ""),
            user=user,
            model=model or os.environ.get("TRUNKLINE_MODEL") or MODEL,
            credentials=_credentials(found, tls),
            timeout_s=timeout_s,
            signer=signer,
        )

    @property
    def options(self) -> list[tuple[str, Any]]:
        """Idempotent calls are tried again, replicas take turns, and a dead connection is noticed. A signature is good
        for one try."""
        return [
            ("grpc.service_config", service_config()),
            ("grpc.enable_retries", int(self.signer is None)),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS),
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_http_proxy", int(not is_local(self.address))),
        ]

    def metadata(self, user: str = "") -> tuple[tuple[str, str], ...]:
        """Who is calling."""
        sent = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if user or self.user:
            sent["x-trunkline-user"] = user or self.user
        return tuple(sent.items())

    def signing(self, channel: Any) -> Any:
        """The channel, whose calls are signed where they are to be."""
        if self.signer is None:
            return channel
        from trunkline.signing import SignedChannel  # noqa: PLC0415 - needs a package that not everybody has

        return SignedChannel(channel, self.signer)


@cache
def service_config() -> str:
    """What `make gen` wrote from the contract: which methods may be tried again, and how."""
    text = resources.files("trunkline").joinpath("service_config.json").read_text("utf-8")
    return json.dumps(json.loads(text), separators=(",", ":"))


def _signer(key: str | None, key_id: str | None, signing_key: str | Path | None) -> SigningKey | None:
    if key is not None and (key_id or signing_key):
        raise ValueError("give a key, or key_id and signing_key")
    source = signing_key or os.environ.get("TRUNKLINE_SIGNING_KEY")
    if key is not None or not (source or key_id):
        return None
    if not source:
        raise ValueError("key_id goes with signing_key, the private key")
    from trunkline.signing import SigningKey  # noqa: PLC0415 - as above

    return SigningKey.read(key_id or os.environ.get("TRUNKLINE_KEY_ID", ""), source)


def is_local(address: str) -> bool:
    """Whether it can only be this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    hosts = (each.rpartition(":")[0] for each in address.rpartition("/")[2].removeprefix("ipv4:").split(","))
    return all(host in {"localhost", ""} or _is_loopback(host.strip("[]")) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(address: str, tls: Tls) -> grpc.ChannelCredentials | None:
    """A key goes over the network in the clear only where somebody says so."""
    if isinstance(tls, grpc.ChannelCredentials):
        return tls
    wanted = not is_local(address) if tls is None else tls
    return grpc.ssl_channel_credentials() if wanted else None
