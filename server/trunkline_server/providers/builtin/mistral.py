"""Mistral. It refuses fields that it does not know, and ids of tool calls that others made up."""

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
from trunkline_server.wire.mistral_bulk import MistralBulk
from trunkline_server.wire.mistral_tuning import MistralTuning
from trunkline_server.wire.openai_chat import WITHOUT_FILES, OpenAIChat
from trunkline_server.wire.openai_chat.embedding import OpenAIEmbed
from trunkline_server.wire.openai_chat.moderation import OpenAIModeration
from trunkline_server.wire.openai_chat.quirks import OPENAI_SAMPLING
from trunkline_server.wire.pieces import Limits
from trunkline_server.wire.stored_files import StoredFiles

TIMES: Final = "timestamp_granularities"

PROVIDER: Final = Provider(
    name="mistral",
    base_url="https://api.mistral.ai/v1",
    wire=OpenAIChat(
        capabilities=WITHOUT_FILES,
        sampling_fields={
            **{field: name for field, name in OPENAI_SAMPLING.items() if field != "top_logprobs"},
            "seed": "random_seed",
        },
        max_tokens_field="max_tokens",
        stop_sequences_max=16,
        end_user_field="",
        developer_role=False,
        sends_stream_options=False,
        required_tool_choice="any",
        speaker_names=False,
        call_id_chars=9,
    ),
    crafts={
        Operation.EMBED: OpenAIEmbed(
            encoding="float",
            dimensions_field="output_dimension",
            limits=Limits(texts_max=256, tokens_max=16_384),
        ),
        Operation.MODERATION: OpenAIModeration(takes_images=False),
        Operation.SPEECH: Speaking(
            voice="en_paul_neutral",
            speed_field="",
            # its bare samples are floats
            formats=Formats({formats.MPEG: "mp3", formats.WAV: "wav", formats.OGG: "opus", formats.FLAC: "flac"}),
        ),
        Operation.TRANSCRIPTION: Transcription(
            prompt_field="",
            url_field="file_url",
            verbose_models=None,
            times={SEGMENT: ((TIMES, "segment"),), WORD: ((TIMES, "word"),)},
            speakers=(("diarize", "true"), (TIMES, "segment")),
        ),
    },
    bulk=MistralBulk(),
    tuning=MistralTuning(),
    files=StoredFiles(),
    voices=VoiceList(path="/audio/voices?limit=100"),
    limit_headers=LimitHeaders(
        "x-ratelimit-{part}-{unit}",
        {
            "req-10-second": Unit(Counted.CALLS, window_s=10),
            "req-minute": Unit(Counted.CALLS, window_s=60),
            "tokens-minute": Unit(Counted.INPUT, window_s=60),
        },
    ),
)
