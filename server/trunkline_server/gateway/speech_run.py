"""A text on its way to being spoken."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

from trunkline.v1 import audio_pb2, chat_pb2, usage_pb2
from trunkline_server.core.counts import COUNTS
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Sound
from trunkline_server.gateway.errand_run import receipt_of
from trunkline_server.gateway.run import COUNTED_PARTIAL, ESTIMATE, NONE, PROVIDER_USAGE, StreamedRun
from trunkline_server.wire.craft import SpeechCraft


@dataclass(slots=True)
class SpeechRun(StreamedRun[audio_pb2.SpeechInput, audio_pb2.SynthesizeSpeechResponse]):
    """`sound` grows; the caller hears each piece once."""

    sound: Sound = field(default_factory=Sound)
    has_begun: bool = False

    @property
    def begun(self) -> bool:
        return self.has_begun

    async def attempt(self) -> None:
        async for _ in self.reads():
            pass

    def reads(self) -> AsyncGenerator[None, None]:
        craft = self.route.upstream.provider.crafts[self.work.operation]
        if not isinstance(craft, SpeechCraft):
            raise UpstreamFailure(FailureKind.INVALID)
        return self.route.upstream.speak(craft, self.errand, self.sound)

    def start_over(self) -> None:
        self.sound = Sound()

    def outcome_of(self) -> chat_pb2.Outcome.ValueType:
        return chat_pb2.OUTCOME_COMPLETED

    def measured(self) -> tuple[usage_pb2.Usage, str]:
        """The provider's numbers where it was heard to the end; else all of it, which is what providers charge."""
        sound = self.sound
        if sound.finished and sound.usage is not None:
            return sound.usage, PROVIDER_USAGE
        if not (sound.finished or sound.byte_count or self.in_flight):
            return usage_pb2.Usage(), NONE
        return COUNTS[self.work.operation].usual(self.input), ESTIMATE if sound.finished else COUNTED_PARTIAL

    def events(self) -> Iterator[audio_pb2.SynthesizeSpeechResponse]:
        audio = self.sound.drain()
        if not audio:
            return
        if not self.has_begun:
            self.has_begun = True
            self.first_token_s = time.perf_counter() - self.began
            started = audio_pb2.SpeechStarted(completion_id=self.spelled_id, media_type=self.sound.media_type)
            yield audio_pb2.SynthesizeSpeechResponse(started=started)
        yield audio_pb2.SynthesizeSpeechResponse(audio=audio)

    def last_events(self) -> Iterator[audio_pb2.SynthesizeSpeechResponse]:
        return self.events()

    def completed(self) -> audio_pb2.SynthesizeSpeechResponse:
        receipt = receipt_of(self, "", self.sound.response_id)
        return audio_pb2.SynthesizeSpeechResponse(completed=receipt)
