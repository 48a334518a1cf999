"""Who speaks in an answer: text and thoughts take the floor, and the part of whoever spoke before ends."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trunkline.v1 import content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.wire import dialect


class Speaker(Protocol):
    """An item whose words make a part of the answer while they come in."""

    def interrupt(self) -> None:
        """Somebody else takes the floor."""


class Floor:
    """The answer, whose words it is made of, and what is counted in it besides tokens."""

    __slots__ = ("_provider", "answer", "speaker", "units")

    def __init__(self, provider: str, answer: Answer) -> None:
        self._provider = provider
        self.answer = answer
        self.speaker: Speaker | None = None
        self.units: dict[str, int] = {}

    def give(self, speaker: Speaker | None) -> None:
        """Let another speak, or nobody."""
        if self.speaker is not None and self.speaker is not speaker:
            self.speaker.interrupt()
        self.speaker = speaker

    def state(self, data: bytes, item_id: str | None) -> content_pb2.ProviderState:
        """State of an item of this answer."""
        return content_pb2.ProviderState(
            provider=self._provider, model=self.answer.model, data=data, item_id=item_id or ""
        )

    def show(self, part: content_pb2.Part) -> None:
        """A part that arrives whole."""
        self.give(None)
        self.answer.part(part)

    def show_raw(self, type_: str, raw: msgspec.Raw) -> None:
        """A block that has no shape of its own here."""
        block = content_pb2.OpaquePart(provider=self._provider, type=type_, json=dialect.verbatim(raw))
        self.show(content_pb2.Part(opaque=block))
