"""Handlers in our own process: entry points of one group, each an `async def handler(tenant_id, invocation)`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias
from uuid import UUID

from trunkline.v1 import actions_pb2
from trunkline_server.core.plugins import brought
from trunkline_server.gateway.actions.performer import checked, failed
from trunkline_server.store.action_handlers import Handler

_log = logging.getLogger(__name__)

GROUP: Final = "trunkline.actions"
TIMEOUT_S: Final = 15.0

Code: TypeAlias = Callable[[UUID, actions_pb2.ActionInvocation], Awaitable[actions_pb2.ActionAnswer]]


@dataclass(frozen=True)
class Plugins:
    """By the name of the entry point."""

    codes: Mapping[str, Code]

    @classmethod
    def installed(cls) -> Self:
        """What does not load is left out, and said."""
        return cls(dict(_loaded()))

    async def perform(self, handler: Handler, invocation: actions_pb2.ActionInvocation) -> actions_pb2.ActionAnswer:
        code = self.codes.get(handler.entry_point)
        if code is None:
            return failed("UNREACHABLE")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await code(handler.tenant_id, invocation)
        except TimeoutError:
            return failed("TIMEOUT")
        except Exception as error:  # noqa: BLE001 - other people's code may raise anything
            _log.warning("action.broken entry_point=%s type=%s", handler.entry_point, type(error).__name__)
            return failed("HANDLER_BROKEN")
        is_answer = isinstance(answer, actions_pb2.ActionAnswer)
        return checked(answer) if is_answer else failed("ANSWER_INVALID")


def _loaded() -> Iterator[tuple[str, Code]]:
    for entry in brought(GROUP):
        try:
            yield entry.name, entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code may raise anything
            _log.warning("action.not_loaded name=%s type=%s", entry.name, type(error).__name__)
