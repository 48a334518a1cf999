"""How a command dials its gateway: in the clear, or over TLS with the authorities and certificate given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from trunkline_server.cli.failure import Misuse

_SECURED: Final = "https://"
_OPTIONS: Final = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1))


@dataclass(frozen=True)
class Dialling:
    """Files in PEM: whom to trust in place of the system's authorities, and what to show."""

    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None

    def open(self, address: str) -> grpc.Channel:
        """A channel to `host:port`, or over TLS to `https://host:port`; any of the files means TLS as well."""
        where = address.removeprefix(_SECURED).removesuffix("/")
        if where == address and not any((self.ca, self.cert, self.cert_key)):
            return grpc.insecure_channel(where, options=_OPTIONS)
        return grpc.secure_channel(where, self._credentials(), options=_OPTIONS)

    def _credentials(self) -> grpc.ChannelCredentials:
        if (self.cert is None) != (self.cert_key is None):
            raise Misuse("--cert and --cert-key: give both or none")
        ca, key, cert = (
            _read(*each) for each in (("--ca", self.ca), ("--cert-key", self.cert_key), ("--cert", self.cert))
        )
        return grpc.ssl_channel_credentials(ca, key, cert)


def _read(option: str, file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise Misuse(f"{option}: {file} cannot be read: {error.strerror}") from None
