"""OpenAI, whose older dialect most others speak; it is asked in the newer one where only that has the words."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.openai import OpenAI
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.moderation import OpenAIModeration
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages
from trunkline_server.wire.openai_videos import OpenAIVideos

PROVIDER: Final = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    wire=OpenAI(),
    crafts={
        Operation.IMAGE: OpenAIImages(),
        Operation.IMAGE_EDIT: OpenAIImageEdits(),
        Operation.VIDEO: OpenAIVideos(),
        Operation.EMBED: OpenAIEmbed(),
        Operation.MODERATION: OpenAIModeration(),
    },
)
