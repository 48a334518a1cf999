"""A text to be spoken as a job: the sound is collected, and kept in one piece."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import audio_pb2, jobs_pb2
from trunkline_server.core import errand_rules
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.errand_work import SpeechWork
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.jobs.offers import fallback, offered

SOUND_BYTES_MAX: Final = 32 * 1024 * 1024


@dataclass(frozen=True)
class SpeechJob:
    """Up to 32 MiB of sound."""

    errands: Errands

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        errand_rules.check(spec.speech, self.errands.policy)
        return await offered(self.errands.gateway.admission, call, SpeechWork(spec.speech))

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        first = self.errands.gateway.admission.candidates.first(call, spec.speech)
        await bench.progress(0.0, f"asking {first.provider}/{first.model}")
        result = jobs_pb2.JobResult()
        await self._collect(call, spec.speech, bench, result.speech)
        return Done(result, fallback(first, call))

    async def _collect(
        self, call: Call, input: audio_pb2.SpeechInput, bench: Bench, result: audio_pb2.SpeechResult
    ) -> None:
        sound = bytearray()
        async with aclosing(self.errands.speak(call, input)) as told:
            async for each in told:
                sound += each.audio
                if len(sound) > SOUND_BYTES_MAX:
                    raise TrunklineError(Reason.MEDIA_INVALID, f"the sound has over {SOUND_BYTES_MAX} bytes")
                if each.HasField("started"):
                    result.blob.media_type = each.started.media_type
                await bench.progress(0.0, f"{len(sound)} bytes of sound")
        result.receipt.CopyFrom(each.completed)
        result.blob.data = bytes(sound)
