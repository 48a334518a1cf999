"""One request on its way through the house: who calls, what they may do, until when, and what goes back with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from google.protobuf.message import Message

from trunkline.v1 import guard_pb2
from trunkline_server.core.browser_token import BrowserToken
from trunkline_server.core.priority import Priority
from trunkline_server.core.trace import Trace


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the tenant comes from the credential alone. `principal` is the credential's name, not its secret."""

    tenant_id: UUID
    principal: str
    scopes: frozenset[str]
    allowed_models: tuple[str, ...] = ()
    priority: Priority = Priority.INTERACTIVE
    user_id: str = ""
    """The one user that the credential is for; empty: the caller says who."""
    token: BrowserToken | None = None
    """The token that the principal has made for this caller."""

    @property
    def holder(self) -> str:
        """Who shares the places of a door: a key, or each of its tokens for itself."""
        return self.token.token_id.hex if self.token else self.principal

    def may(self, scope: str) -> bool:
        """`chat:write` is granted by itself, by `chat:*` and by `*`."""
        return scope in self.scopes or "*" in self.scopes or f"{scope.partition(':')[0]}:*" in self.scopes

    def may_use(self, provider: str, model: str) -> bool:
        """Whether the key may call this model."""
        allowed = self.allowed_models
        return not allowed or f"{provider}/{model}" in allowed or f"{provider}/*" in allowed


@dataclass(slots=True)
class Call:
    """`deadline` counts on the event loop's clock; `trailers` reach the caller on success and on failure."""

    method: str
    caller: Caller
    request_id: str
    deadline: float
    user_id: str = ""
    account_id: str = ""
    idempotency_key: str = ""
    trailers: dict[str, str] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    guard: guard_pb2.Guard | None = None
    """What it keeps out of what is asked on its behalf, beside the question that says so itself."""
    template: str = ""
    """The version of a prompt that went into the question; empty where none did."""
    is_inside: bool = False
    """It has one of the places of the house."""
    is_billed: bool = False
    """The bill is written: what still goes out is the last of it."""
    trace: Trace | None = None
    """What is told of it, where it was chosen to be traced."""
    on_silence: Callable[[], Message | None] | None = None
    """Makes the message that keeps a silent stream alive, if there may be one yet."""
    on_sent_beside: Callable[[Message], None] | None = None
    """Hears of every such message, so that a stream can be repeated with it."""
