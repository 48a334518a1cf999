"""Work other than chat, from a caller's words to what came of it: checked, with its files at hand, and done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from trunkline.v1 import audio_pb2
from trunkline_server.core import errand_rules
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errand import InputT
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errand_run import ErrandRun
from trunkline_server.gateway.errand_work import ErrandWork, SpeechWork
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.media import Media


@dataclass(frozen=True)
class Errands:
    """For services and jobs."""

    gateway: Gateway
    media: Media
    policy: EgressPolicy

    async def do(
        self, call: Call, operation: Operation, input: InputT, journal: Journal = UNWRITTEN
    ) -> ErrandRun[InputT, Any]:
        """Work that is answered in one piece. Raises VALIDATION, MEDIA_INVALID, URL_NOT_ALLOWED and what a call can."""
        errand_rules.check(input, self.policy)
        whole = await self.media.inline(call.caller.tenant_id, input, takes_urls=False)
        work: ErrandWork[InputT, Any] = ErrandWork(whole, kind=operation, journal=journal)
        return await self.gateway.perform(call, work)

    async def answer(self, call: Call, operation: Operation, input: InputT) -> Any:
        """The same, as the RPC of the operation answers it: with its receipt."""
        run = await self.do(call, operation, input)
        run.product.body.receipt.CopyFrom(run.receipt())
        return run.product.body

    def speak(
        self, call: Call, input: audio_pb2.SpeechInput
    ) -> AsyncGenerator[audio_pb2.SynthesizeSpeechResponse, None]:
        """A text to be spoken, in pieces as they come in. Raises as `do` does."""
        errand_rules.check(input, self.policy)
        return self.gateway.stream(call, SpeechWork(input, streaming=True))
