"""Puts calls under guard: a call that nobody guards pays for one look-up."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.message import Message

from trunkline.v1 import guard_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.guard.answered_texts import rows_of, withhold
from trunkline_server.core.guard.policy import Armed
from trunkline_server.core.guard.shield import Shield, blocked
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.guards.judge import Verdict, harm_in
from trunkline_server.gateway.guards.policies import Policies
from trunkline_server.gateway.work import Work

if TYPE_CHECKING:
    from trunkline_server.gateway.gateway import Gateway

WorkT = TypeVar("WorkT", bound=Work[Any, Any])

THREAD_BYTES_MIN: Final = 32 * 1024
"""Longer questions are looked through in a thread, so that the others' streams go on."""


class Guards:
    """`policies` must be followed before calls come."""

    def __init__(self, policies: Policies) -> None:
        self.policies = policies

    def of(self, call: Call, work: Work[Any, Any]) -> Armed | None:
        """What guards this work; None for nothing. Moderation is asked about what others keep out."""
        standing, own = self.policies.of(call.caller.tenant_id), work.guard or call.guard
        if (own is None and standing.armed is None) or work.operation is Operation.MODERATION:
            return None
        return standing.armed if own is None else standing.with_own(own)

    async def masked(self, call: Call, work: WorkT) -> WorkT:
        """The work as a provider may see it who is only to count it. Raises as `shielded` does."""
        armed = self.of(call, work)
        return work if armed is None else await _masked(work, Shield(armed))

    async def shielded(self, gateway: Gateway, call: Call, armed: Armed, work: WorkT) -> WorkT:
        """The work as a provider may see it, judged. Raises CONTENT_BLOCKED, PII_DETECTED."""
        shield = Shield(armed)
        masked = await _masked(work, shield)
        if armed.judges_question and (category := await verdict_of(gateway, call, shield)(shield.asked)):
            raise blocked(category)
        return masked

    async def may_tell(self, gateway: Gateway, call: Call, shield: Shield, body: Message) -> bool:
        """Whether an answer that is no chat may be told; what must not be is out of it then, and else all of it is."""
        is_short = body.ByteSize() < THREAD_BYTES_MIN
        may = shield.answered(body) if is_short else await asyncio.to_thread(shield.answered, body)
        if not (may and shield.armed.judges_answer):
            return may
        texts = [" ".join(row.texts) for row in rows_of(body) if not row.repeats]
        if category := await verdict_of(gateway, call, shield)(texts):
            shield.count(category, guard_pb2.GUARD_ACTION_REFUSE, in_answer=True)
            withhold(body)
        return not category


async def _masked(work: WorkT, shield: Shield) -> WorkT:
    if work.input.ByteSize() < THREAD_BYTES_MIN:
        return work.shielded(shield)
    return await asyncio.to_thread(work.shielded, shield)


def verdict_of(gateway: Gateway, call: Call, shield: Shield) -> Verdict:
    """What the moderation model of a call's guard says."""
    armed = shield.armed
    return partial(harm_in, gateway, call, armed.moderation_model, is_standing=armed.is_standing)
