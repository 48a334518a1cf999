"""Voices: as a provider lists them, or as a declaration knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline.v1 import audio_pb2
from trunkline_server.wire.craft import VoicesCraft
from trunkline_server.wire.dialect import parse
from trunkline_server.wire.http import HttpRequest


class Language(msgspec.Struct, gc=False):
    """One of the languages that a voice speaks."""

    language: str | None = None
    locale: str | None = None


class VoiceTold(msgspec.Struct, gc=False):
    """A voice under the names that are seen."""

    slug: str | None = None
    voice_id: str | None = None
    id: str | None = None
    name: str | None = None
    description: str | None = None
    preview_url: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    verified_languages: list[Language] | None = None

    @property
    def called(self) -> str:
        return self.slug or self.voice_id or self.id or ""

    @property
    def spoken(self) -> list[str]:
        told = [each.locale or each.language or "" for each in self.verified_languages or ()]
        named = [self.language or "", *(self.languages or ()), *told]
        return sorted({each for each in named if each})


class ListTold(msgspec.Struct, gc=False):
    """The list under the names that are seen."""

    voices: list[VoiceTold] | None = None
    items: list[VoiceTold] | None = None


LIST: Final = msgspec.json.Decoder(ListTold)


@dataclass(frozen=True)
class VoiceList(VoicesCraft):
    """One question, one list."""

    path: str = "/voices"

    def encode(self) -> HttpRequest:
        return HttpRequest("GET", self.path, {"accept": "application/json"})

    def decode(self, body: bytes) -> list[audio_pb2.Voice]:
        told = parse(LIST, body)
        found = [_voice(each) for each in told.voices or told.items or () if each.called]
        return sorted(found, key=lambda voice: voice.voice)


def voices(names: str | Iterable[str], languages: Iterable[str] = ()) -> tuple[audio_pb2.Voice, ...]:
    """Voices that a provider always has."""
    listed = names.split() if isinstance(names, str) else names
    return tuple(audio_pb2.Voice(voice=name, display_name=name.title(), languages=languages) for name in listed)


def _voice(told: VoiceTold) -> audio_pb2.Voice:
    return audio_pb2.Voice(
        voice=told.called,
        display_name=told.name or told.called,
        languages=told.spoken,
        description=told.description or "",
        preview_uri=told.preview_url or "",
    )
