"""xAI. Its completion tokens leave the thoughts out."""

from __future__ import annotations

from typing import Final

from trunkline_server.core.limit_headers import Counted, LimitHeaders, Unit
from trunkline_server.core.operation import Operation
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.audio import formats
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.hearing import SEGMENT, WORD, Transcription
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.audio.voices import VoiceList
from trunkline_server.wire.openai_chat import WITHOUT_FILES, OpenAIChat
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.price_list import CENTS_PER_100_MILLION, PriceList
from trunkline_server.wire.openai_images import OpenAIImages, XAIImageEdits
from trunkline_server.wire.openai_images.quirks import XAI_MODELS
from trunkline_server.wire.pieces import Limits
from trunkline_server.wire.xai_bulk import XAIBulk
from trunkline_server.wire.xai_videos import XAIVideos

PRICES: Final = PriceList(
    {
        "prompt_text_token_price": "input",
        "cached_prompt_text_token_price": "cached_input",
        "completion_text_token_price": "output",
    },
    scale=CENTS_PER_100_MILLION,
    folders=((),),
    long_field="long_context_threshold",
    long_suffix="_long_context",
)

PROVIDER: Final = Provider(
    name="xai",
    base_url="https://api.x.ai/v1",
    wire=OpenAIChat(
        capabilities=WITHOUT_FILES,
        thoughts_field="reasoning_content",
        counts_thoughts_apart=True,
        developer_role=False,
        price_list=PRICES,
    ),
    crafts={
        Operation.IMAGE: OpenAIImages(XAI_MODELS),
        Operation.IMAGE_EDIT: XAIImageEdits(XAI_MODELS),
        Operation.VIDEO: XAIVideos(),
        Operation.EMBED: OpenAIEmbed(encoding="float", limits=Limits(texts_max=128)),
        Operation.SPEECH: Speaking(
            path="/tts",
            model_field="",
            text_field="text",
            voice_field="voice_id",
            voice="eve",
            format_field="output_format",
            formats=Formats(
                {
                    formats.MPEG: {"codec": "mp3"},
                    formats.WAV: {"codec": "wav"},
                    formats.SAMPLES: {"codec": "pcm", "sample_rate": 24_000},
                }
            ),
            language_field="language",
            language="auto",
        ),
        Operation.TRANSCRIPTION: Transcription(
            path="/stt",
            model_field="",
            prompt_field="",
            temperature_field="",
            verbose_models=None,
            times={SEGMENT: (), WORD: ()},
            speakers=(("diarize", "true"),),
        ),
    },
    bulk=XAIBulk(),
    voices=VoiceList(path="/tts/voices"),
    # it does not say when they are full again; its limits are by the minute at most
    limit_headers=LimitHeaders(
        "x-ratelimit-{part}-{unit}",
        {"requests": Unit(Counted.CALLS, window_s=60), "tokens": Unit(Counted.INPUT, window_s=60)},
    ),
)
