"""ImageService."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import images_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errands import Errands


@dataclass(frozen=True)
class ImageService:
    """Pictures, made and changed."""

    errands: Errands

    async def generate_images(
        self, call: Call, request: images_pb2.GenerateImagesRequest
    ) -> images_pb2.GenerateImagesResponse:
        if request.input.images:
            raise invalid("input.images", "are for EditImages")
        response: images_pb2.GenerateImagesResponse = await self.errands.answer(call, Operation.IMAGE, request.input)
        return response

    async def edit_images(self, call: Call, request: images_pb2.EditImagesRequest) -> images_pb2.EditImagesResponse:
        if not request.input.images:
            raise invalid("input.images", "is empty: there is nothing to change")
        response: images_pb2.EditImagesResponse = await self.errands.answer(call, Operation.IMAGE_EDIT, request.input)
        return response
