"""Handlers at an address: a POST that is signed as the Standard Webhooks say, to public addresses only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from google.protobuf.json_format import MessageToJson, Parse, ParseError

from trunkline.v1 import actions_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.webhook import signature
from trunkline_server.gateway.actions.performer import checked, failed
from trunkline_server.providers.egress import Answered, Egress
from trunkline_server.store.action_handlers import ActionHandlers, Handler

ANSWER_BYTES_MAX: Final = 512 * 1024
OK: Final = range(200, 300)


@dataclass(frozen=True)
class Callback:
    """Asked once: nobody knows what an address has done that does not answer."""

    handlers: ActionHandlers
    egress: Egress

    async def perform(self, handler: Handler, invocation: actions_pb2.ActionInvocation) -> actions_pb2.ActionAnswer:
        body = MessageToJson(invocation, indent=None, ensure_ascii=False).encode()
        headers = self._headers(await self.handlers.secret(handler), invocation.execution_id, body)
        try:
            answered = await self.egress.post(
                handler.uri,
                body,
                headers,
                owner=handler.tenant_id,
                bytes_max=ANSWER_BYTES_MAX,
                field="handler.callback.uri",
            )
        except TrunklineError as error:
            return failed("TIMEOUT" if error.reason is Reason.DEADLINE else "UNREACHABLE")
        return _heard(answered)

    def _headers(self, secret: str, execution_id: str, body: bytes) -> dict[str, str]:
        now_s = int(time.time())
        return {
            "content-type": "application/json",
            "accept": "application/json",
            "webhook-id": execution_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(secret, execution_id, now_s, body),
        }


def _heard(answered: Answered) -> actions_pb2.ActionAnswer:
    if answered.status not in OK:
        return failed("HTTP_STATUS")
    if not answered.data.strip():
        return actions_pb2.ActionAnswer(status=actions_pb2.ACTION_STATUS_SUCCEEDED)
    try:
        answer = Parse(answered.data, actions_pb2.ActionAnswer(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError, RecursionError):
        return failed("ANSWER_INVALID")
    return checked(answer)
