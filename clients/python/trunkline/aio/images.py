"""Pictures."""

from __future__ import annotations

from typing import Unpack

from trunkline.aio.connection import AsyncConnection
from trunkline.calling import Call, whole
from trunkline.content import Source, blob
from trunkline.media import Picture, Several, pictures
from trunkline.v1 import images_pb2, images_pb2_grpc


class AsyncImages:
    """Made and changed. `also` takes what there is no word for here, as the contract spells it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stub = images_pb2_grpc.ImageServiceStub(connection.channel)

    async def generate(
        self,
        prompt: str,
        *,
        model: str,
        count: int | None = None,
        size: str = "",
        aspect_ratio: str = "",
        quality: str = "",
        style: str = "",
        seed: int | None = None,
        also: images_pb2.ImageInput | None = None,
        **call: Unpack[Call],
    ) -> Several[Picture]:
        """`size`: `1024x1536`; or `aspect_ratio`: `16:9`. `quality` and `style` in the provider's words."""
        given = images_pb2.ImageInput(
            model=model,
            prompt=prompt,
            image_count=count,
            size=size,
            aspect_ratio=aspect_ratio,
            quality=quality,
            style=style,
            seed=seed,
        )
        request = images_pb2.GenerateImagesRequest(input=whole(given, also))
        made = await self._connection.call(self._stub.GenerateImages, request, **call)
        return pictures(made)

    async def edit(
        self,
        prompt: str,
        *images: Source,
        model: str,
        mask: Source | None = None,
        count: int | None = None,
        size: str = "",
        also: images_pb2.ImageInput | None = None,
        **call: Unpack[Call],
    ) -> Several[Picture]:
        """Changes pictures by words; with a `mask` only where it allows."""
        given = images_pb2.ImageInput(
            model=model,
            prompt=prompt,
            images=[blob(each) for each in images],
            mask=None if mask is None else blob(mask),
            image_count=count,
            size=size,
            edit=images_pb2.IMAGE_EDIT_PROMPT,
        )
        return await self._edited(whole(given, also), call)

    async def vary(
        self,
        image: Source,
        *,
        model: str,
        count: int | None = None,
        also: images_pb2.ImageInput | None = None,
        **call: Unpack[Call],
    ) -> Several[Picture]:
        """Others like it."""
        given = images_pb2.ImageInput(
            model=model, images=[blob(image)], image_count=count, edit=images_pb2.IMAGE_EDIT_VARIATION
        )
        return await self._edited(whole(given, also), call)

    async def enlarge(
        self,
        image: Source,
        *,
        model: str,
        prompt: str = "",
        also: images_pb2.ImageInput | None = None,
        **call: Unpack[Call],
    ) -> Several[Picture]:
        """The same with more pixels."""
        given = images_pb2.ImageInput(
            model=model, prompt=prompt, images=[blob(image)], edit=images_pb2.IMAGE_EDIT_UPSCALE
        )
        return await self._edited(whole(given, also), call)

    async def _edited(self, given: images_pb2.ImageInput, call: Call) -> Several[Picture]:
        request = images_pb2.EditImagesRequest(input=given)
        made = await self._connection.call(self._stub.EditImages, request, **call)
        return pictures(made)
