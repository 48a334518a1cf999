"""Puts actions together: who executes them, and their service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.confirmation import Confirmations
from trunkline_server.core.page_token import PageTokens
from trunkline_server.gateway.actions.by_tool import ByTool
from trunkline_server.gateway.actions.callback import Callback
from trunkline_server.gateway.actions.desk import Desk
from trunkline_server.gateway.actions.plugins import Plugins
from trunkline_server.house.ground import Ground
from trunkline_server.providers.egress import Egress, EgressTimeouts
from trunkline_server.services.actions import ActionService
from trunkline_server.store.action_handlers import ActionHandlers
from trunkline_server.store.outbox import Outbox
from trunkline_server.worker.chores import Chore

TIMEOUTS: Final = EgressTimeouts(connect_s=5.0, total_s=15.0)
CALL_TIMEOUT_S: Final = 30.0
"""Of an execution: time for a handler that declines, and for one that does it."""


@dataclass(frozen=True)
class Actions:
    """Packages with handlers are loaded once."""

    desk: Desk
    plugins: Plugins
    policy: EgressPolicy

    @classmethod
    def open(cls, ground: Ground, by_tool: ByTool) -> Self:
        handlers, egress = ActionHandlers(ground.database, ground.tenant_keys), Egress(ground.policy, TIMEOUTS)
        ground.stack.push_async_callback(egress.close)
        confirmations, outbox = Confirmations.derive(ground.secret), Outbox(ground.database)
        plugins = Plugins.installed()
        desk = Desk(handlers, confirmations, outbox, Callback(handlers, egress), plugins, by_tool)
        return cls(desk, plugins, ground.policy)

    def service(self, tokens: PageTokens) -> ActionService:
        """What callers may ask."""
        return ActionService(self.desk, self.plugins, tokens, self.policy)

    def chores(self) -> list[Chore]:
        """Forgetting what is over."""
        return [Chore("purge_confirmations", 600, self.desk.handlers.purge)]
