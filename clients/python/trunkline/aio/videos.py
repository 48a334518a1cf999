"""Films, which take minutes: each is a job."""

from __future__ import annotations

from datetime import timedelta
from typing import Unpack

from trunkline.aio.connection import AsyncConnection
from trunkline.aio.jobs import AsyncJob
from trunkline.calling import Call, whole
from trunkline.content import Source, blob
from trunkline.v1 import films_pb2, video_pb2, video_pb2_grpc
from trunkline.work import duration


class AsyncVideos:
    """`also` takes what there is no word for here, as the contract spells it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stub = video_pb2_grpc.VideoServiceStub(connection.channel)

    async def generate(
        self,
        prompt: str,
        *,
        model: str,
        image: Source | None = None,
        duration_s: float | None = None,
        aspect_ratio: str = "",
        resolution: str = "",
        seed: int | None = None,
        with_audio: bool | None = None,
        count: int | None = None,
        also: films_pb2.VideoInput | None = None,
        **call: Unpack[Call],
    ) -> AsyncJob:
        """Begins one; `wait()` for it, then take its `films`. `image`: the picture that it begins with."""
        given = films_pb2.VideoInput(
            model=model,
            prompt=prompt,
            image=None if image is None else blob(image),
            duration=None if duration_s is None else duration(timedelta(seconds=duration_s)),
            aspect_ratio=aspect_ratio,
            resolution=resolution,
            seed=seed,
            with_audio=with_audio,
            video_count=count,
        )
        request = video_pb2.GenerateVideoRequest(input=whole(given, also))
        return AsyncJob(self._connection, (await self._connection.call(self._stub.GenerateVideo, request, **call)).job)
