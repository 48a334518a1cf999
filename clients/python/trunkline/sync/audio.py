"""Speaking and listening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from trunkline.calling import Call, whole
from trunkline.media import Transcript
from trunkline.recording import Recording, Source, Timestamps, granularity
from trunkline.sync.connection import Connection
from trunkline.sync.speech import Speech
from trunkline.v1 import audio_pb2, audio_pb2_grpc


class Audio:
    """`also` takes what there is no word for here, as the contract spells it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = audio_pb2_grpc.AudioServiceStub(connection.channel)

    def speak(
        self,
        text: str,
        *,
        model: str,
        voice: str = "",
        media_type: str = "",
        speed: float | None = None,
        language: str = "",
        instructions: str = "",
        also: audio_pb2.SpeechInput | None = None,
        **call: Unpack[Call],
    ) -> Speech:
        """A text as sound: iterate over it for pieces, or take `sound()`, or `save(path)`."""
        given = audio_pb2.SpeechInput(
            model=model,
            text=text,
            voice=voice,
            media_type=media_type,
            speed=speed,
            language=language,
            instructions=instructions,
        )
        return Speech(self._connection, audio_pb2.SynthesizeSpeechRequest(input=whole(given, also)), call)

    def transcribe(
        self,
        recording: Source,
        *,
        model: str,
        media_type: str = "",
        language: str = "",
        prompt: str = "",
        timestamps: Timestamps | None = None,
        diarize: bool = False,
        also: audio_pb2.TranscriptionInput | None = None,
        user: str = "",
        timeout_s: float | None = None,
    ) -> Transcript:
        """What is said. `media_type` is needed with bytes; `prompt`: words that are likely to come up."""
        given = audio_pb2.TranscriptionInput(
            model=model,
            media_type=media_type,
            language=language,
            prompt=prompt,
            timestamps=granularity(timestamps),
            diarize=diarize,
        )
        requests = Recording.of(recording, given, also).to_transcribe()
        heard = self._connection.bring(self._stub.Transcribe, requests, user=user, timeout_s=timeout_s)
        return Transcript(heard)

    def translate(
        self,
        recording: Source,
        *,
        model: str,
        media_type: str = "",
        prompt: str = "",
        also: audio_pb2.TranscriptionInput | None = None,
        user: str = "",
        timeout_s: float | None = None,
    ) -> Transcript:
        """What is said in another language, in English."""
        given = audio_pb2.TranscriptionInput(model=model, media_type=media_type, prompt=prompt)
        requests = Recording.of(recording, given, also).to_translate()
        heard = self._connection.bring(self._stub.TranslateAudio, requests, user=user, timeout_s=timeout_s)
        return Transcript(heard)

    def voices(self, provider: str) -> Sequence[audio_pb2.Voice]:
        """Who can speak there. Free."""
        request = audio_pb2.ListVoicesRequest(provider=provider)
        return (self._connection.look(self._stub.ListVoices, request)).voices
