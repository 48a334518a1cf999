"""TLS at the doors: who we are, whom we believe, and certificates that change while we serve.

The listener holds one context for ever. For each handshake it is exchanged for the newest one, so that a new
certificate, and authorities that are added or taken away, count from the next connection on.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

_log = logging.getLogger(__name__)

_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Files in PEM. `client_auth`: whether callers show a certificate of `client_ca_file`'s authorities."""

    certificate_file: str
    key_file: str
    client_ca_file: str = ""
    client_auth: Literal["none", "optional", "required"] = "none"

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(Path(each) for each in (self.certificate_file, self.key_file, self.client_ca_file) if each)


class Tls:
    """The certificates of one door, whose connections speak one of `protocols`. Raises OSError for bad files."""

    def __init__(self, settings: TlsSettings, protocols: Sequence[str]) -> None:
        self._settings = settings
        self._protocols = protocols
        self._seen = self._stamps()
        self._newest = self._made()
        self.context = self._made()
        """For the listener."""
        self.context.sni_callback = self._exchange

    async def reload(self) -> None:
        """Looks whether the files have changed. What cannot be read leaves things as they are."""
        try:
            stamps = self._stamps()
            if stamps == self._seen:
                return
            self._newest = self._made()
        except OSError as error:  # one of the two may be written already, and the other not yet
            _log.warning("tls.reload_failed type=%s", type(error).__name__)
            return
        self._seen = stamps
        _log.info("tls.reloaded")

    def _exchange(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str, _context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _stamps(self) -> list[tuple[int, int]]:
        return [(stat.st_mtime_ns, stat.st_ino) for stat in (each.stat() for each in self._settings.files)]

    def _made(self) -> ssl.SSLContext:
        given = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(list(self._protocols))
        context.load_cert_chain(given.certificate_file, given.key_file)
        if given.client_auth != "none":
            context.load_verify_locations(given.client_ca_file)
            context.verify_mode = _VERIFY[given.client_auth]
            context.num_tickets = 0  # who comes again shows the certificate again
            context.options |= ssl.OP_NO_TICKET
        return context


def names_shown(certificate: Any) -> tuple[str, ...]:
    """The names in a certificate that was verified; empty where none was shown. Of a workload: its SPIFFE id."""
    shown = (certificate or {}).get("subjectAltName", ())
    return tuple(name for kind, name in shown if kind in ("URI", "DNS"))
