"""What a caller says beside the request: their credential, their names for things, and nothing that is believed yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trunkline_server.core.errors import invalid

AUTHORIZATION: Final = "authorization"
REQUEST_ID: Final = "x-request-id"
USER: Final = "x-trunkline-user"
ACCOUNT: Final = "x-trunkline-account"
IDEMPOTENCY_KEY: Final = "idempotency-key"
PRIORITY: Final = "x-trunkline-priority"
TRACEPARENT: Final = "traceparent"
ORIGIN: Final = "origin"
SIGNATURE: Final = "signature"
USER_CHARS_MAX: Final = 255
_REQUEST_ID_CHARS_MAX: Final = 128
_NAMES: Final = frozenset((REQUEST_ID, USER, ACCOUNT, IDEMPOTENCY_KEY, PRIORITY, TRACEPARENT, ORIGIN, SIGNATURE))
_SAID_ONCE: Final = _NAMES - {REQUEST_ID, TRACEPARENT, SIGNATURE}

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


@dataclass(slots=True)
class Said:
    """Read in one pass. `repeated` are names with several values: a second one was added by somebody in between."""

    metadata: Metadata = field(repr=False)
    tokens: list[str] = field(default_factory=list, repr=False)
    names: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, metadata: Metadata) -> Said:
        said = cls(metadata)
        for key, value in metadata:
            if key == AUTHORIZATION:
                said.tokens.append(str(value))
            elif key in _NAMES and isinstance(value, str):
                if key in said.names:
                    said.repeated.append(key)
                said.names[key] = value
        return said

    def name(self, key: str) -> str:
        """What was said under this name; empty where nothing was."""
        return self.names.get(key, "")

    @property
    def request_id(self) -> str:
        """The caller's own, as long as it is short and plain; else a new one."""
        given = self.name(REQUEST_ID)
        plain = given.isascii() and given.isprintable() and len(given) <= _REQUEST_ID_CHARS_MAX
        return given if given and plain else f"req_{os.urandom(16).hex()}"

    def check(self) -> None:
        """Raises VALIDATION."""
        for key in self.repeated:
            if key in _SAID_ONCE:
                raise invalid(key, "is given more than once")
        user = self.name(USER)
        if len(user) > USER_CHARS_MAX or not (user.isascii() and user.isprintable()):
            raise invalid(USER, f"must be at most {USER_CHARS_MAX} printable ASCII characters")
