"""Page tokens: where the next page of a list begins, good for one tenant and one question only.

A token is an HMAC and the cursor behind it. The HMAC covers the tenant, the request with all of its filters, and the
cursor.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self, TypeAlias, TypeVar, cast
from uuid import UUID

import msgspec
from google.protobuf.message import Message

from trunkline_server.core.errors import Reason, TrunklineError, invalid

SIZE_DEFAULT: Final = 50
_SEAL_BYTES: Final = 16
_PURPOSE: Final = b"trunkline page tokens 1"

Row = TypeVar("Row")
Cursor: TypeAlias = Sequence[str | int]


class PageRequest(Protocol):
    """A request message for one page of a list."""

    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True)
class Paging:
    """One page: at most `size` rows behind `cursor`, which is None on the first."""

    size: int
    cursor: list[Any] | None
    _token: Callable[[Cursor], str] = field(repr=False)

    @property
    def limit(self) -> int:
        """How many rows to ask for: one more than fits, which tells whether there is another page."""
        return self.size + 1

    @property
    def behind(self) -> Any:
        """Where a list that is ordered by one value goes on; None at its beginning."""
        return self.cursor[0] if self.cursor else None

    @property
    def behind_id(self) -> UUID | None:
        """The same, where that value is an id."""
        return UUID(hex=self.cursor[0]) if self.cursor else None

    def cut(self, rows: Sequence[Row], cursor_of: Callable[[Row], Cursor]) -> tuple[Sequence[Row], str]:
        """The rows of this page, and the token of the next one; empty on the last."""
        page = rows[: self.size]
        return page, self._token(cursor_of(page[-1])) if len(rows) > self.size else ""


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Reads and makes tokens with a key of its own, derived from the installation's secret."""

    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> Self:
        """The tokens of an installation."""
        return cls(hmac.digest(secret, _PURPOSE, hashlib.sha256))

    def paging(self, tenant_id: UUID, request: PageRequest, *beside: UUID) -> Paging:
        """The page that a request asks for; `beside` is what else its answer depends on. Raises PAGE_TOKEN_INVALID."""
        subject = tenant_id.bytes + _question(request) + b"".join(each.bytes for each in beside)
        cursor = self._open(subject, request.page_token) if request.page_token else None
        return Paging(request.page_size or SIZE_DEFAULT, cursor, lambda cursor: self._close(subject, cursor))

    def _close(self, subject: bytes, cursor: Cursor) -> str:
        return self._sealed(subject, msgspec.json.encode(cursor))

    def _open(self, subject: bytes, token: str) -> list[Any]:
        """Made again and compared as a whole: so no second spelling of a token is one."""
        try:
            told = urlsafe_b64decode(token)[_SEAL_BYTES:]
        except ValueError:
            raise _refused() from None
        if not hmac.compare_digest(token, self._sealed(subject, told)):
            raise _refused()
        return msgspec.json.decode(told, type=list[Any])

    def _sealed(self, subject: bytes, told: bytes) -> str:
        seal = hmac.digest(self.key, len(subject).to_bytes(4) + subject + told, hashlib.sha256)
        return urlsafe_b64encode(seal[:_SEAL_BYTES] + told).decode()


def _question(request: PageRequest) -> bytes:
    """Which list, and every filter on it, whatever the page."""
    bare = deepcopy(cast(Message, request))
    bare.ClearField("page_size")
    bare.ClearField("page_token")
    return bare.DESCRIPTOR.full_name.encode() + b"\0" + bare.SerializeToString(deterministic=True)


def _refused() -> TrunklineError:
    return invalid("page_token", "is not one that this list gave out", Reason.PAGE_TOKEN_INVALID)
