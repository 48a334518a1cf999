"""Whatever an operator changes is in the audit, under the name of who did it, or it is not done.

Changes of tables are noted by triggers, in the transaction of the change. What leaves no row is noted before it begins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from google.protobuf.message import Message

from trunkline_server.core.call import Call
from trunkline_server.core.text import legible
from trunkline_server.store.acting import acting
from trunkline_server.store.audit_log import AuditLog

_SERVICES: Final = "/trunkline.v1."
_NAMES_MAX: Final = 255

WITHOUT_ROWS: Final = {
    f"{_SERVICES}AdminService/Drain": "gateway.drain",
    f"{_SERVICES}AdminService/PurgeCache": "cache.purge",
    f"{_SERVICES}ModelService/SyncModels": "models.sync",
    f"{_SERVICES}ProviderService/OpenBreaker": "breaker.open",
    f"{_SERVICES}ProviderService/ResetBreaker": "breaker.reset",
    f"{_SERVICES}ProviderService/TestProvider": "provider.test",
    f"{_SERVICES}WebhookService/Redeliver": "webhook_delivery.send",
    f"{_SERVICES}WebhookService/SendTestEvent": "webhook_endpoint.test",
}
"""Actions by method."""
_NAMING: Final = frozenset(("account_id", "delivery_id", "endpoint_id", "model", "name", "provider"))


class Witness:
    """Stands by when an operator acts."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    @asynccontextmanager
    async def watching(self, call: Call, request: Message) -> AsyncIterator[None]:
        """Raises STORE_UNAVAILABLE where the audit cannot be written."""
        caller = call.caller
        with acting(
            tenant_id=caller.tenant_id,
            principal=caller.principal,
            method=call.method.removeprefix(_SERVICES),
            request_id=call.request_id,
        ):
            if action := WITHOUT_ROWS.get(call.method):
                await self._log.note(caller.tenant_id, action, _named(request))
            yield


def _named(request: Message) -> str:
    """What the request is about."""
    return legible("/".join(_names(request))[:_NAMES_MAX])


def _names(message: Message) -> Iterator[str]:
    """The ids and names in it, in their order."""
    for field, value in message.ListFields():
        if field.name in _NAMING:
            yield value
        elif isinstance(value, Message):
            yield from _names(value)
