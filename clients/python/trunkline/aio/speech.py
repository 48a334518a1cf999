"""Sound as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from trunkline.aio.connection import AsyncConnection, AsyncListening
from trunkline.calling import Call
from trunkline.media import Sound, created
from trunkline.v1 import audio_pb2, audio_pb2_grpc, content_pb2, receipt_pb2


class AsyncSpeech(AsyncListening):
    """Iterate over it for pieces of sound, once. As a context manager it stops the call when you leave early."""

    def __init__(self, connection: AsyncConnection, request: audio_pb2.SynthesizeSpeechRequest, call: Call) -> None:
        super().__init__()
        self._connection = connection
        self._stub = audio_pb2_grpc.AudioServiceStub(connection.channel)
        self._request = request
        self._call = call
        self._receipt: receipt_pb2.Receipt | None = None
        self.media_type = ""
        """What it is, once it has begun: `audio/mpeg`."""

    @property
    def receipt(self) -> receipt_pb2.Receipt:
        """Who spoke, and the bill, once it has ended."""
        if self._receipt is None:
            raise RuntimeError("the sound has not ended: read it to its end first")
        return self._receipt

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._events = self._connection.stream(self._stub.SynthesizeSpeech, self._request, **self._call)
        try:
            async for event in self._events:
                self._note(event)
                if event.audio:
                    yield event.audio
        finally:
            self.cancel()

    async def sound(self) -> Sound:
        """All of it."""
        data = b"".join([piece async for piece in self])
        return Sound(content_pb2.Blob(data=data, media_type=self.media_type), self.receipt)

    async def save(self, path: str | Path) -> Path:
        """Writes it to a file as it comes."""
        with created(path) as file:
            async for piece in self:
                file.write(piece)
        return Path(path)

    def _note(self, event: audio_pb2.SynthesizeSpeechResponse) -> None:
        if event.HasField("started"):
            self.media_type = event.started.media_type
        if event.HasField("completed"):
            self._receipt = event.completed
