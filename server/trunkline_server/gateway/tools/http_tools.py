"""Tools behind addresses: a signed POST through the guarded dial, with the tool's own secrets and nothing of ours."""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import orjson

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.sealing import SealBroken
from trunkline_server.core.webhook import signature
from trunkline_server.gateway.tools.tool import READ_BYTES_MAX, Ask, Said, Tool
from trunkline_server.providers.client import Response
from trunkline_server.providers.egress import Egress
from trunkline_server.store.tools import ToolRow, Tools

SIGNING: str = ":signing"
"""The name of the signing secret among a tool's secrets; no header can be called so."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpTools:
    """Secrets are opened when they are first sent, once for all rounds of a call."""

    tools: Tools
    egress: Egress

    async def find(self, tenant_id: UUID, name: str) -> Tool:
        """By id or name. Raises RESOURCE_NOT_FOUND."""
        row = await self.tools.find(tenant_id, name)
        return Tool(row.registered.spec, partial(self._run, _Secrets(self.tools, row)))

    async def _run(self, secrets: _Secrets, ask: Ask) -> Said:
        body = (ask.arguments_json or "{}").encode()
        headers = signed(await secrets.opened(), ask.call_id, body)
        owner, uri = secrets.of.tenant_id, secrets.of.registered.spec.http.uri
        async with self.egress.exchange("POST", uri, body, headers, owner=owner, field="tool") as answer:
            if not 200 <= answer.status < 300:
                raise tool_failed("the tool answered with an error", httpStatus=str(answer.status))
            read = await read_all(answer)
        return _said(read, answer.headers.get("content-type", ""))


@dataclass(slots=True)
class _Secrets:
    """Of one tool in one call."""

    tools: Tools
    of: ToolRow
    _kept: dict[str, str] | None = field(default=None, repr=False)

    async def opened(self) -> dict[str, str]:
        """Raises TOOL_FAILED."""
        if self._kept is None:
            try:
                self._kept = await self.tools.secrets(self.of)
            except SealBroken:
                _log.error("tool.sealed tool=%s", self.of.registered.tool_id)
                raise tool_failed("the tool's secrets cannot be opened") from None
        return self._kept


def signed(secrets: dict[str, str], call_id: str, body: bytes) -> dict[str, str]:
    """The headers of a call, as Standard Webhooks has them."""
    now_s = int(time.time())
    own = {name: value for name, value in secrets.items() if name != SIGNING}
    return own | {
        "content-type": "application/json",
        "accept": "application/json, text/plain",
        "webhook-id": call_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature(secrets[SIGNING], call_id, now_s, body),
    }


async def read_all(answer: Response) -> bytes:
    """Raises TOOL_FAILED where there is more than anybody would use."""
    data = bytearray()
    async with aclosing(answer.chunks()) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > READ_BYTES_MAX:
                raise tool_failed(f"the tool sent more than {READ_BYTES_MAX} bytes")
    return bytes(data)


def tool_failed(message: str, **metadata: str) -> TrunklineError:
    return TrunklineError(Reason.TOOL_FAILED, message, metadata=metadata)


def _said(read: bytes, content_type: str) -> Said:
    text = read.decode("utf-8", "replace")
    return Said(text, is_json="json" in content_type.lower() and _is_json(text))


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True
