"""A short question that the gateway itself has for a model, on behalf of a caller, who is charged for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core import history, persona
from trunkline_server.core.call import Call
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.store.leased_ledger import apart

TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Aside:
    """Has a bill of its own, and leaves no trace on the caller's call."""

    gateway: Gateway

    async def ask(self, call: Call, model: str, wish: str, text: str, tokens_max: int) -> str:
        """The answer's text. Raises what a call of the caller's could raise."""
        own = Call(
            method=call.method,
            caller=call.caller,
            request_id=call.request_id,
            deadline=asyncio.get_running_loop().time() + TIMEOUT_S,
            user_id=call.user_id,
            account_id=call.account_id,
            guard=call.guard,
        )
        question = chat_pb2.ChatInput(
            model=model,
            messages=[persona.instruction(wish), persona.said(text)],
            sampling=chat_pb2.Sampling(max_output_tokens=tokens_max),
        )
        completion = chat_pb2.Completion()
        with apart():
            (await self.gateway.complete(own, question)).write(completion)
        return " ".join(history.words(candidate.message) for candidate in completion.candidates[:1])


def guarded(call: Call, input: chat_pb2.ChatInput) -> Call:
    """The call as it asks beside its question: what that keeps from providers is kept from them there as well."""
    return replace(call, guard=input.guard) if input.HasField("guard") else call
