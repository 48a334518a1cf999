"""What a wire hands to the client: one HTTP request, spelled but not yet sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline_server.core.failure import FailureKind, UpstreamFailure

_ADDRESS: Final = re.compile(
    r"(?:https?://[^/?#\s]+)?(/[\w.~!$&'()*+,;=:@%/-]*(?:\?[\w.~!$&'()*+,;=:@%/?-]*)?)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`path` follows the provider's base url and may have a query; `headers` come on top of the provider's own.
    `answer_bytes_max`: where the answer may be longer than answers usually may."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    answer_bytes_max: int = 0

    def saying(self, header: str, value: str) -> HttpRequest:
        """It with one header more."""
        headers = {**self.headers, header: value}
        return HttpRequest(self.method, self.path, headers, self.body, self.answer_bytes_max)


def path_of(address: str, start: str) -> str:
    """The path of an address that a provider told, from `start` on. It is asked below the provider's own address: what
    leads elsewhere is not followed. Raises UpstreamFailure where it is no such address."""
    found = _ADDRESS.fullmatch(address)
    place = found[1].find(start) if found else -1
    if found is None or place < 0 or "/.." in found[1]:
        raise UpstreamFailure(FailureKind.BROKEN)
    return found[1][place:]
