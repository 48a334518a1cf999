"""Approvals of tool calls: a token is good for one call with its arguments, for its tenant, once, for an hour."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self
from uuid import UUID

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.store.tools import Tools

GOOD_S: Final = 3600
_PURPOSE: Final = b"trunkline tool approvals 1"


@dataclass(frozen=True, slots=True)
class Approvals:
    """`key` comes from the installation's secret, so every replica takes what another one gave."""

    tools: Tools
    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, tools: Tools, secret: bytes) -> Self:
        return cls(tools, hmac.digest(secret, _PURPOSE, hashlib.sha256))

    def token(self, tenant_id: UUID, call: content_pb2.ToolCallPart) -> str:
        until = (int(time.time()) + GOOD_S).to_bytes(8)
        return urlsafe_b64encode(until + self._seal(tenant_id, call, until)).decode()

    async def take(self, given: chat_pb2.ToolApproval) -> bool:
        """Whether a call with this word may run, which has been checked. Raises VALIDATION."""
        digest = hashlib.sha256(given.approval_token.encode()).digest()
        if not await self.tools.use_approval(digest, timedelta(seconds=GOOD_S)):
            raise _refused("was used before")
        return given.approved

    def check(self, tenant_id: UUID, call: content_pb2.ToolCallPart, token: str) -> None:
        """Whether it is a token of this call. Raises VALIDATION."""
        try:
            told = urlsafe_b64decode(token)
        except ValueError:
            raise _refused("is no token") from None
        until, seal = told[:8], told[8:]
        if not hmac.compare_digest(seal, self._seal(tenant_id, call, until)):
            raise _refused("is not of this call with these arguments")
        if int.from_bytes(until) < time.time():
            raise _refused("is too old: ask again")

    def _seal(self, tenant_id: UUID, call: content_pb2.ToolCallPart, until: bytes) -> bytes:
        words = (call.call_id.encode(), call.name.encode(), call.arguments_json.encode())
        bound = b"".join(hashlib.sha256(word).digest() for word in words)
        return hmac.digest(self.key, tenant_id.bytes + until + bound, hashlib.sha256)


def _refused(why: str) -> Exception:
    return invalid("input.tool_approvals.approval_token", why)
